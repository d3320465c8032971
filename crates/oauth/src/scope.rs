//! Scopes that clients ask for.
//! <https://spec.matrix.org/v1.18/client-server-api/#scope>

use crate::error::Error;

/// Access to the client-server API, in the specification's spelling and in that of MSC2967.
const API: [&str; 2] = ["urn:matrix:client:api:*", "urn:matrix:org.matrix.msc2967.client:api:*"];
/// The beginning of the scope that names the device, in both spellings.
const DEVICE: [&str; 2] = ["urn:matrix:client:device:", "urn:matrix:org.matrix.msc2967.client:device:"];
/// Maximum length of a device id, in bytes.
const MAX_DEVICE_ID: usize = 255;

/// A scope with access to the client-server API on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientScope {
    /// The scope as text, in the spelling of the client, without what is not given.
    pub text: String,
    /// The device.
    pub device_id: String,
}

impl ClientScope {
    /// Reads the scope that a client asks for. Scopes that are not Matrix's, such as `openid`, are not given.
    pub fn read(text: &str) -> Result<Self, Error> {
        let mut given: Vec<&str> = Vec::new();
        let mut device_id: Option<&str> = None;
        let mut has_api = false;
        for token in text.split(' ') {
            if let Some(named) = DEVICE.iter().find_map(|beginning| token.strip_prefix(beginning)) {
                if device_id.is_some_and(|other| other != named) {
                    return Err(Error::Scope("A scope names one device"));
                }
                device_id = Some(named);
            } else if API.contains(&token) {
                has_api = true;
            } else {
                continue;
            }
            if !given.contains(&token) {
                given.push(token);
            }
        }
        let device_id =
            device_id.ok_or(Error::Scope("The scope must name a device: urn:matrix:client:device:ID"))?;
        if !has_api {
            return Err(Error::Scope("The scope must include urn:matrix:client:api:*"));
        }
        if !is_device_id(device_id) {
            return Err(Error::Scope("The id of the device is malformed"));
        }
        Ok(Self { text: given.join(" "), device_id: device_id.to_owned() })
    }
}

/// Returns true for an id with the characters that a scope can have (RFC 6749, 3.3).
fn is_device_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    (1..=MAX_DEVICE_ID).contains(&id.len()) && id.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, String)> {
        ClientScope::read(text).ok().map(|scope| (scope.text, scope.device_id))
    }

    #[test]
    fn scopes() {
        let plain = "urn:matrix:client:api:* urn:matrix:client:device:ABC";
        let older =
            "urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:ABC";
        let given = |text: &str| Some((text.to_owned(), "ABC".to_owned()));
        assert_eq!(read(plain), given(plain));
        assert_eq!(read(&format!("openid {older} email")), given(older));
        assert_eq!(read(&format!("{plain} {older} {plain}")), given(&format!("{plain} {older}")));
        for bad in [
            "",
            "openid",
            "urn:matrix:client:api:*",
            "urn:matrix:client:device:ABC",
            "urn:matrix:client:api:* urn:matrix:client:device:",
            "urn:matrix:client:api:* urn:matrix:client:device:A\"B",
            "urn:matrix:client:api:* urn:matrix:client:device:ä",
            "urn:matrix:client:api:read urn:matrix:client:device:ABC",
            "urn:matrix:client:api:* urn:matrix:client:device:A urn:matrix:client:device:B",
            &format!("urn:matrix:client:api:* urn:matrix:client:device:{}", "A".repeat(256)),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
