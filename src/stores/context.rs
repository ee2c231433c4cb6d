//! What the library that finds credentials may use of this machine: files, the environment, programs, and our
//! own HTTP client, so that proxies and `--ca-file` count for it too.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use reqsign_core::{
    CommandExecute, CommandOutput, Context, Error, FileRead, HttpSend, OsEnv, Result,
};
use tokio::io::AsyncReadExt;

use super::environment::variable;
use crate::http::{Clients, call};

/// The longest file, answer or output that is read, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// How long a service may take for one answer.
const WAIT: Duration = Duration::from_secs(10);

/// How long the metadata service of a cloud may take (AWS CLI, `AWS_METADATA_SERVICE_TIMEOUT`). On a machine
/// that is in no cloud, nobody answers at its address.
const METADATA_WAIT: Duration = Duration::from_secs(1);

/// How long a program that prints credentials may run.
const PROGRAM_WAIT: Duration = Duration::from_secs(60);

/// The context of all credentials.
pub(super) fn context(clients: &Clients) -> Context {
    Context::new()
        .with_env(OsEnv)
        .with_file_read(Files)
        .with_http_send(Services(clients.clone()))
        .with_command_execute(Program)
}

/// The context of a `credential_process`.
pub(super) fn context_of_process(clients: &Clients, command: &str) -> Context {
    context(clients).with_command_execute(Shell(command.to_owned()))
}

#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
        // A device tells no size, and may have no end.
        let mut file = tokio::fs::File::open(path).await?.take(MAX_SIZE as u64 + 1);
        let mut bytes = Vec::new();
        if file.read_to_end(&mut bytes).await? > MAX_SIZE {
            return Err(Error::config_invalid(format!("{path} is too large")));
        }
        Ok(bytes)
    }
}

#[derive(Debug)]
struct Services(Clients);

impl HttpSend for Services {
    async fn http_send(&self, mut request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let is_metadata = host.starts_with("169.254.")
            || host.starts_with("[fd00:ec2::")
            || host == "metadata.google.internal";
        // A signature holds for one host.
        if host.starts_with("sts.") && !request.headers().contains_key(AUTHORIZATION) {
            send_elsewhere(&mut request);
        }
        let wait = if is_metadata { METADATA_WAIT } else { WAIT };
        let answer = call(&self.0, request, wait, MAX_SIZE).await;
        answer.map_err(|e| Error::unexpected(e.to_string()))
    }
}

/// Sends a request for AWS's token service to the endpoint of the environment (AWS, "Service-specific
/// endpoints"). Stores such as MinIO have a token service of their own.
fn send_elsewhere(request: &mut http::Request<Bytes>) {
    let names = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"];
    if let Some(endpoint) = names.into_iter().find_map(variable)
        && let Ok(uri) = endpoint.parse()
    {
        *request.uri_mut() = uri;
    }
}

#[derive(Debug)]
struct Program;

impl CommandExecute for Program {
    async fn command_execute(&self, program: &str, args: &[&str]) -> Result<CommandOutput> {
        run(program, args).await
    }
}

/// A `credential_process`. The library splits it at spaces, so that quotes would have no meaning. A shell
/// reads it, as AWS's own libraries do it.
struct Shell(String);

// Not derived: a command line may hold secrets.
impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shell")
    }
}

impl CommandExecute for Shell {
    async fn command_execute(&self, _: &str, _: &[&str]) -> Result<CommandOutput> {
        run("sh", &["-c", &self.0]).await
    }
}

async fn run(program: &str, args: &[&str]) -> Result<CommandOutput> {
    let mut command = tokio::process::Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PROGRAM_WAIT, command.output()).await;
    let output = output.map_err(|_| Error::unexpected(format!("{program} does not end")))?;
    let output = output.map_err(|e| Error::unexpected(format!("{program}: {e}")))?;
    Ok(CommandOutput {
        status: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: output.stderr,
    })
}
