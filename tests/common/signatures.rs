//! Checks the signatures of requests, written after the specifications alone: a second opinion on the library
//! that makes them.

use aiozfs::ranges::hex;
use base64::prelude::{BASE64_STANDARD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::scripted::Asked;

/// Checks a request for S3 (AWS, "Create a signed AWS API request"), and returns the access key and the
/// region that it was signed with. `secret_of` is the secret of an access key.
pub fn check_s3(
    asked: &Asked,
    secret_of: impl Fn(&str) -> Option<String>,
) -> Result<(String, String), String> {
    let authorization = asked.header("authorization");
    let rest = authorization
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or("it is not signed")?;
    let part = |name: &str| {
        let mut parts = rest.split(", ").filter_map(|part| part.split_once('='));
        parts
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    };
    let credential = part("Credential").ok_or("no credential")?;
    let signed_headers = part("SignedHeaders").ok_or("no headers")?;
    let (key, scope) = credential.split_once('/').ok_or("no scope")?;
    let [date, region, "s3", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err(format!("the scope is {scope}"));
    };
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let headers: String = signed_headers
        .split(';')
        .map(|name| format!("{name}:{}\n", asked.header(name)))
        .collect();
    for name in asked
        .headers
        .keys()
        .filter(|name| name.starts_with("x-amz-"))
    {
        if !signed_headers.split(';').any(|signed| signed == name) {
            return Err(format!("{name} is not signed"));
        }
    }
    let hash = asked.header("x-amz-content-sha256");
    if hash != hex(Sha256::digest(&asked.body)) {
        return Err(format!("the hash of the body is {hash}"));
    }
    let mut query: Vec<&str> = query.split('&').collect();
    query.sort_unstable();
    let query = query.join("&");
    let canonical = format!(
        "{}\n{path}\n{query}\n{headers}\n{signed_headers}\n{hash}",
        asked.method
    );
    let time = asked.header("x-amz-date");
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex(Sha256::digest(&canonical))
    );
    let secret = secret_of(key).ok_or("the key is not known")?;
    let mut signing = hmac(format!("AWS4{secret}").as_bytes(), date.as_bytes());
    for part in [region, "s3", "aws4_request"] {
        signing = hmac(&signing, part.as_bytes());
    }
    let expected = hex(hmac(&signing, text.as_bytes()));
    if part("Signature") != Some(&expected) {
        return Err(format!("the signature is wrong for {canonical:?}"));
    }
    Ok((key.to_owned(), region.to_owned()))
}

/// Checks a request for Azure (Microsoft, "Authorize with Shared Key", for version 2015-02-21 and later).
pub fn check_azure(asked: &Asked, account: &str, key: &str) -> Result<(), String> {
    let mut own: Vec<_> = asked
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .collect();
    own.sort();
    let own: String = own
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    // The parameters are a part of the resource, each in a line, sorted and decoded.
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut parameters: Vec<String> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            format!("\n{name}:{value}")
        })
        .collect();
    parameters.sort();
    let parameters = parameters.concat();
    // The string to sign has a line for the verb and for each of eleven standard headers. All but the last header, Range,
    // are empty here. The headers of Azure and the resource follow.
    let text = format!(
        "{}\n\n\n\n\n\n\n\n\n\n\n{}\n{own}/{account}{path}{parameters}",
        asked.method,
        asked.header("range")
    );
    let key = BASE64_STANDARD.decode(key).map_err(|e| e.to_string())?;
    let signature = BASE64_STANDARD.encode(hmac(&key, text.as_bytes()));
    let expected = format!("SharedKey {account}:{signature}");
    if asked.header("authorization") == expected {
        Ok(())
    } else {
        Err(format!("the signature is wrong for {text:?}"))
    }
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    hmac.update(text);
    hmac.finalize().into_bytes().to_vec()
}
