//! What a live mount takes over from the configuration when it gets SIGHUP.
//!
//! The filter of the log, the size limit of the cache, and secrets: headers, tokens, the password. All else
//! needs a new mount. If anything cannot be read, everything stays as it is.

use std::sync::Arc;

use super::Failure;
use super::access::AccessArgs;
use super::config::Config;
use super::logging;
use super::mount_options::MountOptions;
use crate::volume::{Location, Server, Volume};

/// What is needed to read the configuration again.
pub(super) struct Reload {
    pub(super) args: AccessArgs,
    pub(super) options: MountOptions,
    /// As it was given.
    pub(super) location: Location,
    /// The servers in use.
    pub(super) servers: Vec<Server>,
    pub(super) volume: Arc<Volume>,
}

impl Reload {
    /// Takes the configuration over, or logs why not.
    pub(super) fn run(&self) {
        match self.take_over() {
            Ok(()) => log::info!("SIGHUP: the configuration was read again"),
            Err(e) => log::error!("SIGHUP: {e}; the old configuration stays"),
        }
    }

    fn take_over(&self) -> Result<(), Failure> {
        let config = Config::load()?;
        // All that can fail comes before the first change.
        let location = self.location.clone();
        let access = self.args.resolve_with(&config, location, &self.options)?;
        let servers = access.options.servers.servers;
        logging::configure(config.settings().log.as_deref());
        self.args.resize_cache(&config, &self.options);
        let template = |server: &Server| server.template.clone();
        if !(servers.iter().map(template)).eq(self.servers.iter().map(template)) {
            log::warn!(
                "SIGHUP: other gateways are configured now; they are used from the next mount on"
            );
        }
        for server in &self.servers {
            let renewed = servers.iter().find(|s| s.template == server.template);
            if let Some(renewed) = renewed {
                server.secrets.replace(&renewed.secrets);
            }
        }
        if let Some(password) = access.options.password {
            self.volume.decoder().set_password(password);
        }
        Ok(())
    }
}
