//! Bytes of commands and journal records: varints, counted fields; reading is total.

use bytes::{Buf, Bytes};

pub type Malformed = String;

pub fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub fn put_signed(out: &mut Vec<u8>, n: i64) {
    put_varint(out, ((n << 1) ^ (n >> 63)) as u64);
}

pub fn put_field(out: &mut Vec<u8>, field: &[u8]) {
    put_varint(out, field.len() as u64);
    out.extend_from_slice(field);
}

/// Takes fields off the front; what it returns shares the message's memory.
pub struct Reader {
    rest: Bytes,
}

impl Reader {
    pub fn new(bytes: Bytes) -> Self {
        Reader { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        if self.rest.is_empty() { Err("ends early".to_owned()) } else { Ok(self.rest.get_u8()) }
    }

    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            n |= part << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err("a number is too long".to_owned())
    }

    pub fn signed(&mut self) -> Result<i64, Malformed> {
        let n = self.varint()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        if self.rest.len() < 8 { Err("ends early".to_owned()) } else { Ok(self.rest.get_u64()) }
    }

    pub fn u128(&mut self) -> Result<u128, Malformed> {
        if self.rest.len() < 16 { Err("ends early".to_owned()) } else { Ok(self.rest.get_u128()) }
    }

    pub fn field(&mut self) -> Result<Bytes, Malformed> {
        let length = self.varint()?;
        if length > self.rest.len() as u64 {
            Err("ends early".to_owned())
        } else {
            Ok(self.rest.split_to(length as usize))
        }
    }

    /// How many follow, each of at least `bytes_min`: a count that can't be true takes no memory.
    pub fn count(&mut self, bytes_min: usize) -> Result<usize, Malformed> {
        let count = self.varint()?;
        if count > (self.rest.len() / bytes_min.max(1)) as u64 {
            return Err("a count is too large".to_owned());
        }
        Ok(count as usize)
    }

    pub fn rest(self) -> Bytes {
        self.rest
    }

    pub fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(format!("{} bytes left over", self.rest.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_read_back(n: u64, s: i64, field: Vec<u8>) {
            let mut out = Vec::new();
            put_varint(&mut out, n);
            put_signed(&mut out, s);
            put_field(&mut out, &field);
            let mut reader = Reader::new(Bytes::from(out));
            prop_assert_eq!(reader.varint().unwrap(), n);
            prop_assert_eq!(reader.signed().unwrap(), s);
            prop_assert_eq!(&reader.field().unwrap()[..], &field[..]);
            prop_assert!(reader.end().is_ok());
        }
    }

    #[test]
    fn an_overlong_number_is_refused() {
        assert!(Reader::new(Bytes::from(vec![0xff; 11])).varint().is_err());
        assert!(
            Reader::new(Bytes::from(vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2])).varint().is_err()
        );
    }
}
