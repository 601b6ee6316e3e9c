//! Networks of addresses: from where a proxy is believed. Owns how one is written and what is in it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An address, or all that share its first bits: `127.0.0.1`, `10.1.0.0/16`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an address or a network such as \"127.0.0.1\" or \"10.1.0.0/16\", found {0:?}")]
pub struct NetworkError(String);

impl Network {
    /// Whether an address is in it; an IPv4 address that is written as IPv6 is the IPv4 one.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let shared = |all: u8| u32::from(all - self.bits);
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (u32::from(ours) ^ u32::from(theirs)).checked_shr(shared(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (u128::from(ours) ^ u128::from(theirs)).checked_shr(shared(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let refuse = || NetworkError(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| refuse())?)),
            None => (text, None),
        };
        // Canonical from here on, so that bits count in the address that is compared.
        let address = address.parse::<IpAddr>().map_err(|_| refuse())?.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        match bits.unwrap_or(most) {
            bits if bits <= most => Ok(Self { address, bits }),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;
    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl JsonSchema for Network {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Network".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "network", "examples": ["127.0.0.1", "10.1.0.0/16"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_its_networks_and_in_no_other() {
        let is_in =
            |address: &str, network: &str| network.parse::<Network>().unwrap().contains(address.parse().unwrap());
        for (address, network) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::ffff:127.0.0.1", "127.0.0.1/32"),
            ("10.1.255.3", "10.1.0.0/16"),
            ("8.8.8.8", "0.0.0.0/0"),
            ("fd00::7", "fd00::/8"),
            ("::1", "::/0"),
        ] {
            assert!(is_in(address, network), "{address} {network}");
        }
        for (address, network) in
            [("127.0.0.2", "127.0.0.1"), ("10.2.0.1", "10.1.0.0/16"), ("::1", "0.0.0.0/0"), ("fe00::1", "fd00::/8")]
        {
            assert!(!is_in(address, network), "{address} {network}");
        }
        for bad in ["", "localhost", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
