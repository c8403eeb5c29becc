//! Which addresses may be called on behalf of a setting that somebody made through the API: an identity provider may be
//! anywhere, in private networks too, but it is never this machine's metadata service or a neighbour on the link.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Where clouds answer questions about the machine that asks, besides the link-local addresses.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

/// What may be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Guard {
    /// Plain http and this machine; for tests and for providers on the same host.
    pub allow_http: bool,
}

impl Guard {
    /// Whether this may be called as far as its text tells; names are looked at again once they are resolved.
    pub fn check(self, url: &Url) -> Result<(), &'static str> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err("only https is called; see the setting idp_allow_http"),
        }
        let allowed = match url.host() {
            Some(Host::Ipv4(address)) => self.allows(address.into()),
            Some(Host::Ipv6(address)) => self.allows(address.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        };
        if allowed { Ok(()) } else { Err(REFUSED) }
    }

    /// Whether this may be connected to.
    pub fn allows(self, address: IpAddr) -> bool {
        let address = embedded(address);
        if METADATA.contains(&address) || address.is_unspecified() || address.is_multicast() {
            return false;
        }
        if address.is_loopback() {
            return self.allow_http;
        }
        match address {
            IpAddr::V4(address) => {
                // "This network" (RFC 1122) and what is reserved (RFC 1112), the broadcast address among it.
                let first = address.octets()[0];
                !address.is_link_local() && first != 0 && first < 240
            }
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        }
    }
}

const REFUSED: &str = "the address is none of an identity provider";

/// The IPv4 address that an IPv6 address only carries: mapped (RFC 4291), compatible, translated (RFC 6052) or tunnelled
/// (RFC 3056).
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if v6.is_unspecified() || v6.is_loopback() {
        return address;
    }
    match v6.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => IpAddr::V4(((u32::from(high) << 16) | u32::from(low)).into()),
        _ => address,
    }
}

/// Resolves names as the system does, and leaves out what may not be called: what is connected to is what was checked.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| guard.allows(found.ip())).collect();
            if allowed.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, REFUSED).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(address: &str) -> bool {
        Guard { allow_http: false }.allows(address.parse().unwrap())
    }

    #[test]
    fn neighbours_metadata_and_nobody_are_never_called_however_they_are_written() {
        for address in [
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "ff02::1",
            "::",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::a9fe:a9fe",
        ] {
            assert!(!allowed(address), "{address}");
            assert!(!Guard { allow_http: true }.allows(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn private_networks_are_called_and_this_machine_only_where_plain_http_is() {
        for address in ["10.0.0.1", "192.168.1.1", "172.16.0.1", "fd12::1", "8.8.8.8", "2606:4700::1"] {
            assert!(allowed(address), "{address}");
        }
        for address in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert!(!allowed(address), "{address}");
            assert!(Guard { allow_http: true }.allows(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn only_https_is_called_unless_the_setting_says_otherwise() {
        let check = |allow_http, url: &str| Guard { allow_http }.check(&Url::parse(url).unwrap()).is_ok();
        assert!(check(false, "https://idp.example.com/a"));
        assert!(!check(false, "http://idp.example.com/a"));
        assert!(check(true, "http://idp.example.com/a"));
        for url in
            ["file:///etc/passwd", "ftp://idp.example.com", "https://169.254.169.254/", "https://[fe80::1]/"]
        {
            assert!(!check(true, url), "{url}");
        }
        assert!(!check(false, "https://2852039166/"), "a number is an address too");
    }
}
