//! RSA public keys in the two encodings that IAM takes and gives: `ssh-rsa AAAA…` (RFC 4253) and PEM (RFC 5280).

use md5::{Digest, Md5};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

const NAME: &[u8] = b"ssh-rsa";
const BITS: std::ops::RangeInclusive<usize> = 2_048..=16_384;
/// rsaEncryption with its NULL, as an AlgorithmIdentifier.
const RSA: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Neither of the encodings.
    Encoding,
    /// Not an RSA key of 2,048 bits or more.
    Key,
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(field)
}

/// Exponent and modulus, as numbers without a sign.
fn numbers(blob: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = blob;
    let name = field(&mut rest)?;
    let (exponent, modulus) = (field(&mut rest)?, field(&mut rest)?);
    (name == NAME && rest.is_empty()).then_some((unsigned(exponent), unsigned(modulus)))
}

fn unsigned(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|b| **b == 0).count();
    &number[zeros..]
}

fn signed(number: &[u8]) -> Vec<u8> {
    let number = unsigned(number);
    let zero: &[u8] = if number.first().is_some_and(|b| b & 0x80 != 0) { &[0] } else { &[] };
    [zero, number].concat()
}

fn blob(exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    for field in [NAME.to_vec(), signed(exponent), signed(modulus)] {
        blob.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        blob.extend_from_slice(&field);
    }
    blob
}

fn checked(blob: Vec<u8>) -> Result<Vec<u8>, Bad> {
    let (exponent, modulus) = numbers(&blob).ok_or(Bad::Key)?;
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |b| b.leading_zeros() as usize);
    let odd = modulus.last().is_some_and(|b| b & 1 == 1) && exponent.last().is_some_and(|b| b & 1 == 1);
    if BITS.contains(&bits) && odd && exponent.len() <= 8 { Ok(blob) } else { Err(Bad::Key) }
}

/// Reads either encoding into SSH's.
pub fn read(text: &str) -> Result<Vec<u8>, Bad> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("ssh-rsa ") {
        let data = rest.split_ascii_whitespace().next().ok_or(Bad::Encoding)?;
        let blob = data_encoding::BASE64.decode(data.as_bytes()).map_err(|_| Bad::Encoding)?;
        return checked(blob);
    }
    let pem = x509_parser::pem::parse_x509_pem(text.as_bytes()).map_err(|_| Bad::Encoding)?.1;
    if pem.label != "PUBLIC KEY" {
        return Err(Bad::Encoding);
    }
    let (_, info) = SubjectPublicKeyInfo::from_der(&pem.contents).map_err(|_| Bad::Key)?;
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => checked(blob(key.exponent, key.modulus)),
        _ => Err(Bad::Key),
    }
}

pub fn ssh(blob: &[u8]) -> String {
    format!("ssh-rsa {}", data_encoding::BASE64.encode(blob))
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = unsigned(&length);
    let head = match content.len() {
        n @ 0..0x80 => vec![tag, n as u8],
        _ => [&[tag, 0x80 | length.len() as u8][..], length].concat(),
    };
    [head, content.to_vec()].concat()
}

pub fn pem(blob: &[u8]) -> Option<String> {
    let (exponent, modulus) = numbers(blob)?;
    let key = der(0x30, &[der(2, &signed(modulus)), der(2, &signed(exponent))].concat());
    let bits = der(3, &[&[0][..], &key].concat());
    let info = data_encoding::BASE64.encode(&der(0x30, &[&RSA[..], &bits].concat()));
    let lines: Vec<&str> = info.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    Some(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
}

/// As `aa:bb:…`: the MD5 of the key as SSH encodes it.
pub fn fingerprint(blob: &[u8]) -> String {
    let digest = Md5::digest(blob);
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bits: usize) -> Vec<u8> {
        let mut modulus = vec![0xabu8; bits / 8];
        modulus[0] = 0x91;
        blob(&[1, 0, 1], &modulus)
    }

    #[test]
    fn encodings_say_the_same() {
        let key = key(2_048);
        assert_eq!(read(&ssh(&key)).unwrap(), key);
        assert_eq!(read(&format!("{} ann@host\n", ssh(&key))).unwrap(), key);
        assert_eq!(read(&pem(&key).unwrap()).unwrap(), key);
        assert_eq!(fingerprint(&key).len(), 47);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(read(&ssh(&key(1_024))), Err(Bad::Key));
        assert_eq!(read(&ssh(&key(2_048)[..100])), Err(Bad::Key));
        for bad in ["", "ssh-rsa", "ssh-rsa %", "ssh-ed25519 AAAA", "-----BEGIN PUBLIC KEY-----\n", "x"] {
            assert_eq!(read(bad), Err(Bad::Encoding), "{bad}");
        }
        assert_eq!(read("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), Err(Bad::Key));
    }
}
