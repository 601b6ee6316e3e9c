//! Which hosts are contacted. Owns the rule: what a person named is theirs to name, wherever it lies; where an answer leads to is
//! contacted only where everybody could, so that no page of the web reaches into a house by way of whoever reads it.

use std::collections::HashSet;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Address;

/// Variables that say by way of which host others are contacted.
const PROXIES: [&str; 6] = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// Who may be contacted.
#[derive(Debug)]
pub(super) struct Guard {
    /// Hosts that a person named: in an address, or as a proxy.
    named: HashSet<String>,
}

/// A host that lies in a private network, and that nobody named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it leads to {0}, which lies in a private network: name that address yourself if you want it")]
pub(super) struct Private(String);

impl Private {
    /// The one that is among the causes of an error.
    pub(super) fn in_causes<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(private) = error.downcast_ref() {
                return Some(private);
            }
            next = error.source();
        }
        None
    }
}

impl Guard {
    pub(super) fn new(addresses: &[Address]) -> Self {
        let proxies = PROXIES.iter().filter_map(|name| std::env::var(name).ok()).filter_map(|proxy| host_of(&proxy));
        Self { named: addresses.iter().map(|address| address.host().to_owned()).chain(proxies).collect() }
    }

    /// Whether a redirect may lead there; where that depends on what a name resolves to, it is said when it is resolved.
    pub(super) fn may_go(&self, there: &Url) -> bool {
        let Some(host) = there.host_str() else { return false };
        let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        self.named.contains(host) || literal.is_none_or(is_public)
    }
}

/// The host of a proxy, which may be written without its scheme.
fn host_of(proxy: &str) -> Option<String> {
    let url = Url::parse(proxy).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{proxy}")).ok())?;
    url.host_str().map(str::to_owned)
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let is_named = self.named.contains(&host);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let open: Vec<SocketAddr> =
                found.iter().copied().filter(|address| is_named || is_public(address.ip())).collect();
            if open.is_empty() && !found.is_empty() {
                return Err(Private(host).into());
            }
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

/// Whether everybody could contact it.
///
/// # Source
/// The IANA special-purpose address registries, as RFC 6890 describes them.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let is_shared = a == 100 && b & 0xc0 == 64;
            let is_of_a_protocol = [a, b, c] == [192, 0, 0];
            let is_for_benchmarks = a == 198 && b & 0xfe == 18;
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_documentation()
                || a == 0
                || a >= 224
                || is_shared
                || is_of_a_protocol
                || is_for_benchmarks)
        }
        IpAddr::V6(ip) => {
            let segments = ip.segments();
            // What stands for an address of IPv4 is as public as that is.
            let carried = match segments {
                [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => {
                    Some(u32::from(high) << 16 | u32::from(low))
                }
                _ => None,
            };
            carried.is_none_or(|ip| is_public(IpAddr::V4(ip.into())))
                && !(ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_unique_local()
                    || ip.is_unicast_link_local()
                    || segments[..2] == [0x2001, 0xdb8]
                    || segments[0] & 0xffc0 == 0xfec0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_are_told_from_the_web() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a01:203",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "93.184.216.34",
            "1.1.1.1",
            "100.128.0.1",
            "172.32.0.1",
            "2606:2800:220:1::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn what_was_named_is_contacted_wherever_it_lies_and_where_it_leads_only_in_the_open() {
        let guard = Guard::new(&[Address::parse("http://192.168.1.5/a").unwrap()]);
        let may = |url: &str| guard.may_go(&Url::parse(url).unwrap());
        assert!(may("https://192.168.1.5:8443/b"));
        assert!(!may("http://192.168.1.6/"));
        assert!(!may("http://[::1]/"));
        assert!(!may("http://2130706433/"), "127.0.0.1 in one number");
        assert!(may("https://example.org/"), "it is resolved first");
        let resolved = guard.resolve("localhost".parse().unwrap()).await.err().unwrap();
        assert_eq!(Private::in_causes(&*resolved), Some(&Private("localhost".to_owned())));
        let named = Guard::new(&[Address::parse("http://localhost/").unwrap()]);
        assert!(named.resolve("localhost".parse().unwrap()).await.unwrap().count() > 0);
        assert_eq!(host_of("proxy.example:3128").as_deref(), Some("proxy.example"));
        assert_eq!(host_of("http://10.0.0.1:3128/").as_deref(), Some("10.0.0.1"));
    }
}
