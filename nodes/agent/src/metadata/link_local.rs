//! Gives this host's loopback device the address at which SDKs look for the metadata service. Needs CAP_NET_ADMIN; in a
//! network namespace of its own, as a container has one, nobody else can reach it.

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::net::Ipv4Addr;

// rtnetlink(7), netlink(7).
const RTM_NEWADDR: u16 = 20;
const NLM_F_REQUEST_ACK_CREATE_EXCL: u16 = 0x1 | 0x4 | 0x400 | 0x200;
const NLMSG_ERROR: u16 = 2;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RT_SCOPE_HOST: u8 = 254;
const HEADER_BYTES: usize = 16;

/// "Add this address to the device", as the kernel reads it.
fn new_address(device: u32, address: Ipv4Addr) -> Vec<u8> {
    let mut body = Vec::new();
    // struct ifaddrmsg: family, prefix length, flags, scope, device.
    body.extend([AddressFamily::INET.as_raw() as u8, 32, 0, RT_SCOPE_HOST]);
    body.extend(device.to_ne_bytes());
    for attribute in [IFA_LOCAL, IFA_ADDRESS] {
        body.extend(8u16.to_ne_bytes());
        body.extend(attribute.to_ne_bytes());
        body.extend(address.octets());
    }
    let length = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(u32::MAX);
    // struct nlmsghdr: length, type, flags, sequence, port.
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(RTM_NEWADDR.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK_CREATE_EXCL.to_ne_bytes());
    message.extend(1u32.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(body);
    message
}

/// What the kernel answered: the number of an error, 0 for none.
fn outcome(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(*answer.get(4..)?.first_chunk()?);
    let error = i32::from_ne_bytes(*answer.get(HEADER_BYTES..)?.first_chunk()?);
    (kind == NLMSG_ERROR).then_some(error.wrapping_neg())
}

/// Harmless where it has it already.
pub fn add(address: Ipv4Addr) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    // Without a protocol it is NETLINK_ROUTE, whose number is 0.
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    let any = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    let device = rustix::net::netdevice::name_to_index(&any, "lo")?;
    let kernel = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &new_address(device, address), SendFlags::empty(), &kernel)?;
    let mut answer = [0; 1_024];
    let (_, length) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    match outcome(answer.get(..length).unwrap_or_default()) {
        Some(0) => Ok(()),
        Some(error) if error == rustix::io::Errno::EXIST.raw_os_error() => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error)),
        None => Err(io::Error::other("the kernel's answer can't be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_the_kernel_has_them() {
        let message = new_address(1, Ipv4Addr::new(169, 254, 169, 254));
        assert_eq!(message.len(), 40);
        assert_eq!(message[..4], 40u32.to_ne_bytes());
        assert_eq!(message[4..6], 20u16.to_ne_bytes());
        assert_eq!(message[16..20], [2, 32, 0, 254]);
        assert_eq!(message[28..32], [169, 254, 169, 254]);
        let mut answer = [0; 36];
        answer[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        assert_eq!(outcome(&answer), Some(0));
        answer[16..20].copy_from_slice(&(-17i32).to_ne_bytes());
        assert_eq!(outcome(&answer), Some(17));
        assert_eq!(outcome(&answer[..19]), None);
        assert_eq!(outcome(&[]), None);
    }
}
