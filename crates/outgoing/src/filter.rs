//! The filter for destinations of the server's requests. Users choose where the server sends requests, so a
//! request must not reach what only the server can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// Networks that are not part of the public internet.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
const INSIDE_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// The prefix of all public addresses.
const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// Networks within it that are not public.
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>
const INSIDE_V6: [Ipv6Net; 3] = [v6(0x2001, 0, 0, 23), v6(0x2001, 0xdb8, 0, 32), v6(0x3fff, 0, 0, 20)];

/// Addresses that represent IPv4 addresses behind a translator (NAT64), in their last 32 bits.
const TRANSLATED: Ipv6Net = v6(0x64, 0xff9b, 0, 96);
/// Addresses that represent IPv4 addresses (6to4), in the 32 bits after the prefix.
const TUNNELLED: Ipv6Net = v6(0x2002, 0, 0, 16);

/// The filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    allowed: Vec<IpNet>,
}

impl Filter {
    /// A filter that allows public addresses, and these networks.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// True if requests to an address are allowed.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = meant(address);
        self.allowed.iter().any(|network| network.contains(&address)) || is_public(address)
    }
}

/// The IPv4 address that an IPv6 address represents, if it does.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    let [_, second, third, .., seventh, eighth] = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    if TRANSLATED.contains(&v6) {
        v4(seventh, eighth).into()
    } else if TUNNELLED.contains(&v6) {
        v4(second, third).into()
    } else {
        v6.into()
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !INSIDE_V4.iter().any(|network| network.contains(&v4)),
        IpAddr::V6(v6) => PUBLIC_V6.contains(&v6) && !INSIDE_V6.iter().any(|network| network.contains(&v6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(filter: &Filter, address: &str) -> bool {
        filter.allows(address.parse().unwrap())
    }

    #[test]
    fn what_is_public() {
        let filter = Filter::default();
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "64:ff9b::101:101",
            "2002:101:101::1",
            "::ffff:1.1.1.1",
        ] {
            assert!(allows(&filter, public), "{public}");
        }
        for inside in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!allows(&filter, inside), "{inside}");
        }
    }

    #[test]
    fn what_is_allowed_all_the_same() {
        let filter = Filter::new(vec!["127.0.0.0/8".parse().unwrap(), "fd00::/64".parse().unwrap()]);
        for allowed in ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00::5", "1.1.1.1"] {
            assert!(allows(&filter, allowed), "{allowed}");
        }
        for refused in ["10.0.0.1", "::1", "fd00:1::5"] {
            assert!(!allows(&filter, refused), "{refused}");
        }
    }
}
