//! DynamoDB's number: 38 decimal digits, magnitudes from 1E-130 to under 1E+126, exact.
//!
//! Source of range and precision: "Supported data types and naming rules in Amazon DynamoDB", Number. The error
//! messages are AWS's own.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Significant digits that a number can have.
pub const DIGITS_MAX: u32 = 38;
/// The largest exponent of the leading digit.
pub const EXPONENT_MAX: i32 = 125;
/// The smallest exponent of the leading digit.
pub const EXPONENT_MIN: i32 = -130;

/// Bytes of the longest text: `-0.`, 130 + 37 places.
const TEXT_LEN_MAX: usize = 3 + 167;
/// Bytes of the longest ordered encoding: class, exponent, 19 pairs, terminator.
pub const ORDERED_LEN_MAX: usize = 22;

const POWERS_OF_TEN: [u128; 39] = {
    let mut powers = [1u128; 39];
    let mut i = 1;
    while i < 39 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// Why a text or a result is no DynamoDB number; the display is AWS's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("The parameter cannot be converted to a numeric value: {0}")]
    NotNumeric(String),
    #[error("Attempting to store more than 38 significant digits in a Number")]
    TooPrecise,
    #[error("Number overflow. Attempting to store a number with magnitude larger than supported range")]
    Overflow,
    #[error("Number underflow. Attempting to store a number with magnitude smaller than supported range")]
    Underflow,
}

impl NumberError {
    /// AWS's older wording, which some operations still use: see [`crate::json::ValueError::older_message`].
    pub fn older_message(&self) -> String {
        match self {
            NumberError::NotNumeric(text) if text.is_empty() => {
                "The parameter cannot be converted to a numeric value".to_owned()
            }
            other => other.to_string(),
        }
    }
}

/// `coefficient` × 10^`exponent`, canonical: the coefficient doesn't end in a zero digit, and zero is
/// `0 × 10^0` and not negative.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Number {
    coefficient: u128,
    exponent: i16,
    negative: bool,
}

/// The serde form: (negative, exponent, coefficient).
#[derive(Serialize, Deserialize)]
struct Parts(bool, i16, u128);

impl From<Number> for Parts {
    fn from(number: Number) -> Self {
        Parts(number.negative, number.exponent, number.coefficient)
    }
}

impl TryFrom<Parts> for Number {
    type Error = &'static str;

    fn try_from(Parts(negative, exponent, coefficient): Parts) -> Result<Self, Self::Error> {
        Number::from_parts(negative, exponent, coefficient).ok_or("not a canonical number")
    }
}

/// Digits of `value`; 1 for zero.
fn digit_count(value: u128) -> u32 {
    if value == 0 { 1 } else { value.ilog10() + 1 }
}

impl Number {
    pub const ZERO: Number = Number { coefficient: 0, exponent: 0, negative: false };

    /// The number of these parts, if they are canonical and in range: what a stored form may contain.
    pub(crate) fn from_parts(negative: bool, exponent: i16, coefficient: u128) -> Option<Number> {
        if coefficient == 0 {
            return (!negative && exponent == 0).then_some(Number::ZERO);
        }
        if coefficient >= POWERS_OF_TEN[DIGITS_MAX as usize] || coefficient.is_multiple_of(10) {
            return None;
        }
        let number = Number { coefficient, exponent, negative };
        (EXPONENT_MIN..=EXPONENT_MAX).contains(&number.leading_exponent()).then_some(number)
    }

    pub(crate) fn parts(&self) -> (bool, i16, u128) {
        (self.negative, self.exponent, self.coefficient)
    }

    /// Removes trailing zeros and checks range and precision. The coefficient may have one digit too many.
    fn normalised(negative: bool, mut coefficient: u128, mut exponent: i32) -> Result<Number, NumberError> {
        if coefficient == 0 {
            return Ok(Number::ZERO);
        }
        // u128 division is a library call; nearly every number fits in the machine's own.
        if let Ok(mut small) = u64::try_from(coefficient) {
            while small.is_multiple_of(10) {
                small /= 10;
                exponent += 1;
            }
            coefficient = u128::from(small);
        } else {
            while coefficient.is_multiple_of(10) {
                coefficient /= 10;
                exponent += 1;
            }
        }
        let digits = digit_count(coefficient);
        let leading = exponent + digits as i32 - 1;
        if leading > EXPONENT_MAX {
            return Err(NumberError::Overflow);
        }
        if leading < EXPONENT_MIN {
            return Err(NumberError::Underflow);
        }
        if digits > DIGITS_MAX {
            return Err(NumberError::TooPrecise);
        }
        Ok(Number { coefficient, exponent: exponent as i16, negative })
    }

    pub fn is_zero(&self) -> bool {
        self.coefficient == 0
    }

    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Significant digits; 1 for zero.
    pub fn digits(&self) -> u32 {
        digit_count(self.coefficient)
    }

    /// The exponent of the leading digit: 0 for 1..10, 1 for 10..100; 0 for zero.
    pub fn leading_exponent(&self) -> i32 {
        i32::from(self.exponent) + self.digits() as i32 - 1
    }

    /// The number as an integer, if it is one that fits.
    pub fn to_i64(&self) -> Option<i64> {
        if !(0..=18).contains(&self.exponent) {
            return None;
        }
        let magnitude = self.coefficient.checked_mul(POWERS_OF_TEN[self.exponent as usize])?;
        let magnitude = i128::try_from(magnitude).ok()?;
        i64::try_from(if self.negative { -magnitude } else { magnitude }).ok()
    }

    pub fn negated(self) -> Number {
        Number { negative: !self.negative && self.coefficient != 0, ..self }
    }

    /// The exact sum. AWS answers a sum that needs more than 38 digits with its overflow error.
    pub fn checked_add(self, other: Number) -> Result<Number, NumberError> {
        if self.is_zero() {
            return Ok(other);
        }
        if other.is_zero() {
            return Ok(self);
        }
        let lowest = i32::from(self.exponent.min(other.exponent));
        let span = self.leading_exponent().max(other.leading_exponent()) - lowest + 1;
        let result = if span <= DIGITS_MAX as i32 {
            let scaled = |n: Number| n.coefficient * POWERS_OF_TEN[(i32::from(n.exponent) - lowest) as usize];
            let (a, b) = (scaled(self), scaled(other));
            let (negative, sum) = match (self.negative == other.negative, a >= b) {
                (true, _) => (self.negative, a + b),
                (false, true) => (self.negative, a - b),
                (false, false) => (other.negative, b - a),
            };
            Number::normalised(negative, sum, lowest)
        } else if span < WIDE_DIGITS as i32 {
            wide_sum(self, other, lowest)
        } else {
            // The lowest digit of the sum isn't zero, and two digits at most cancel at its top: see wide_sum.
            Err(NumberError::TooPrecise)
        };
        result.map_err(|error| if error == NumberError::TooPrecise { NumberError::Overflow } else { error })
    }

    pub fn checked_sub(self, other: Number) -> Result<Number, NumberError> {
        self.checked_add(other.negated())
    }

    /// Writes the canonical text: plain digits, never an exponent, as AWS returns it.
    pub fn write_text<'a>(&self, buffer: &'a mut NumberText) -> &'a str {
        let mut len = 0;
        let mut push = |bytes: &[u8]| {
            buffer.0[len..len + bytes.len()].copy_from_slice(bytes);
            len += bytes.len();
        };
        if self.negative {
            push(b"-");
        }
        let mut digits = [0u8; DIGITS_MAX as usize];
        let digits = self.write_digits(&mut digits);
        let whole_len = digits.len() as i32 + i32::from(self.exponent);
        const ZEROS: [u8; 168] = [b'0'; 168];
        if self.exponent >= 0 {
            push(digits);
            push(&ZEROS[..self.exponent as usize]);
        } else if whole_len > 0 {
            push(&digits[..whole_len as usize]);
            push(b".");
            push(&digits[whole_len as usize..]);
        } else {
            push(b"0.");
            push(&ZEROS[..-whole_len as usize]);
            push(digits);
        }
        std::str::from_utf8(&buffer.0[..len]).unwrap_or_default()
    }

    /// The coefficient's decimal digits as ASCII; `0` for zero.
    fn write_digits<'a>(&self, buffer: &'a mut [u8; DIGITS_MAX as usize]) -> &'a [u8] {
        let mut start = buffer.len();
        let mut rest = self.coefficient;
        // Nineteen digits at a time: one wide division, then the machine's own.
        loop {
            const CHUNK: u128 = 10_000_000_000_000_000_000;
            let last = rest < CHUNK;
            let mut low = (rest % CHUNK) as u64;
            rest /= CHUNK;
            for place in 0.. {
                if if last { low == 0 && place > 0 } else { place == 19 } {
                    break;
                }
                start -= 1;
                buffer[start] = b'0' + (low % 10) as u8;
                low /= 10;
            }
            if last {
                return &buffer[start..];
            }
        }
    }

    /// Appends bytes whose order is the order of the numbers, and which end by themselves:
    /// a class (negative, zero, positive), the leading exponent, pairs of digits from the top, a terminator;
    /// for negative numbers all but the class is complemented.
    pub fn encode_ordered(&self, out: &mut Vec<u8>) {
        if self.is_zero() {
            out.push(CLASS_ZERO);
            return;
        }
        let flip = if self.negative { 0xff } else { 0 };
        out.push(if self.negative { CLASS_NEGATIVE } else { CLASS_POSITIVE });
        out.push((self.leading_exponent() - EXPONENT_MIN) as u8 ^ flip);
        let mut digits = [0u8; DIGITS_MAX as usize];
        for pair in self.write_digits(&mut digits).chunks(2) {
            let low = pair.get(1).map_or(0, |digit| digit - b'0');
            out.push(((pair[0] - b'0') * 10 + low + 1) ^ flip);
        }
        out.push(flip);
    }

    /// Reads what [`Number::encode_ordered`] wrote from the start of `bytes`; the number and the bytes after it.
    pub fn decode_ordered(bytes: &[u8]) -> Option<(Number, &[u8])> {
        let flip = match *bytes.first()? {
            CLASS_ZERO => return Some((Number::ZERO, &bytes[1..])),
            CLASS_POSITIVE => 0,
            CLASS_NEGATIVE => 0xff,
            _ => return None,
        };
        let leading = i32::from(*bytes.get(1)? ^ flip) + EXPONENT_MIN;
        let mut coefficient = 0u128;
        let mut digits = 0;
        let mut at = 2;
        loop {
            let byte = *bytes.get(at)? ^ flip;
            at += 1;
            match byte {
                0 => break,
                1..=100 if digits < DIGITS_MAX => {
                    coefficient = coefficient * 100 + u128::from(byte - 1);
                    digits += 2;
                }
                _ => return None,
            }
        }
        // Only the last pair's second digit may be a filler.
        if coefficient.is_multiple_of(10) {
            coefficient /= 10;
            digits -= u32::from(digits > 0);
        }
        if digits == 0 || digit_count(coefficient) != digits {
            return None;
        }
        let exponent = leading - digits as i32 + 1;
        Some((Number::from_parts(flip != 0, exponent as i16, coefficient)?, &bytes[at..]))
    }
}

const CLASS_NEGATIVE: u8 = 1;
const CLASS_ZERO: u8 = 2;
const CLASS_POSITIVE: u8 = 3;

const WIDE_DIGITS: usize = 42;

/// The sum of two numbers whose digits span 39 to 41 places, which u128 can't hold. The result is exact in 38
/// digits only where the top cancels (1E+38 - 1), which can reach down this far and no further: two operands of
/// 38 digits each cancel more than one digit only if their leading exponents differ by one at most.
fn wide_sum(a: Number, b: Number, lowest: i32) -> Result<Number, NumberError> {
    // Least significant digit first, one more place than the span for the carry.
    fn spread(number: Number, lowest: i32) -> [i8; WIDE_DIGITS] {
        let mut places = [0i8; WIDE_DIGITS];
        let mut digits = [0u8; DIGITS_MAX as usize];
        let shift = (i32::from(number.exponent) - lowest) as usize;
        for (place, digit) in number.write_digits(&mut digits).iter().rev().enumerate() {
            let digit = (digit - b'0') as i8;
            places[shift + place] = if number.negative { -digit } else { digit };
        }
        places
    }
    let (a, b) = (spread(a, lowest), spread(b, lowest));
    let mut sum: [i8; WIDE_DIGITS] = std::array::from_fn(|place| a[place] + b[place]);
    let Some(top) = sum.iter().rposition(|digit| *digit != 0) else { return Ok(Number::ZERO) };
    let negative = sum[top] < 0;
    if negative {
        sum.iter_mut().for_each(|digit| *digit = -*digit);
    }
    let mut carry = 0;
    for digit in &mut sum {
        let value = *digit + carry;
        carry = value.div_euclid(10);
        *digit = value.rem_euclid(10);
    }
    let top = sum.iter().rposition(|digit| *digit != 0).unwrap_or(0);
    let bottom = sum.iter().position(|digit| *digit != 0).unwrap_or(0);
    if top - bottom >= DIGITS_MAX as usize {
        let leading = lowest + top as i32;
        return Err(if leading > EXPONENT_MAX { NumberError::Overflow } else { NumberError::TooPrecise });
    }
    let coefficient = sum[bottom..=top].iter().rev().fold(0u128, |value, digit| value * 10 + *digit as u128);
    Number::normalised(negative, coefficient, lowest + bottom as i32)
}

/// Room for a number's text without an allocation.
pub struct NumberText([u8; TEXT_LEN_MAX]);

impl NumberText {
    pub fn new() -> Self {
        NumberText([0; TEXT_LEN_MAX])
    }
}

impl Default for NumberText {
    fn default() -> Self {
        NumberText::new()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write_text(&mut NumberText::new()))
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Number {
    type Err = NumberError;

    /// Accepts a sign, digits with at most one point, and an exponent; no spaces, no NaN, no infinity.
    fn from_str(text: &str) -> Result<Number, NumberError> {
        let not_numeric = || NumberError::NotNumeric(text.to_owned());
        let bytes = text.as_bytes();
        let (negative, bytes) = match bytes.first() {
            Some(b'-') => (true, &bytes[1..]),
            Some(b'+') => (false, &bytes[1..]),
            _ => (false, bytes),
        };

        let mut coefficient = 0u128;
        // Significant digits taken into the coefficient, trailing zeros not yet counted in.
        let mut digits = 0u64;
        let mut zeros_pending = 0u64;
        let mut places_after_point = 0u64;
        let mut point = false;
        let mut any_digit = false;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'0'..=b'9' => {
                    any_digit = true;
                    places_after_point += u64::from(point);
                    if byte == b'0' {
                        zeros_pending += u64::from(digits > 0);
                    } else {
                        digits += zeros_pending + 1;
                        // Past 38 digits only the count matters.
                        if digits <= u64::from(DIGITS_MAX) {
                            coefficient =
                                coefficient * POWERS_OF_TEN[zeros_pending as usize + 1] + u128::from(byte - b'0');
                        }
                        zeros_pending = 0;
                    }
                }
                b'.' if !point => point = true,
                b'e' | b'E' => break,
                _ => return Err(not_numeric()),
            }
            at += 1;
        }
        if !any_digit {
            return Err(not_numeric());
        }
        let exponent = match bytes.get(at + 1..) {
            Some(written) => parse_exponent(written).ok_or_else(not_numeric)?,
            // An 'e' with nothing after it; otherwise the text has ended.
            None if at < bytes.len() => return Err(not_numeric()),
            None => 0,
        };
        let exponent = exponent.saturating_add(zeros_pending as i64).saturating_sub(places_after_point as i64);
        // AWS checks the range of a zero too, by the exponent that it is written with.
        let leading = exponent.saturating_add((digits as i64 - 1).max(0));
        if leading > i64::from(EXPONENT_MAX) {
            return Err(NumberError::Overflow);
        }
        if leading < i64::from(EXPONENT_MIN) {
            return Err(NumberError::Underflow);
        }
        if digits == 0 {
            return Ok(Number::ZERO);
        }
        if digits > u64::from(DIGITS_MAX) {
            return Err(NumberError::TooPrecise);
        }
        Ok(Number { coefficient, exponent: exponent as i16, negative })
    }
}

/// The digits after an `e`; `None` where they aren't an integer, or, as with AWS, one past 64 bits.
fn parse_exponent(written: &[u8]) -> Option<i64> {
    let digits = written.strip_prefix(b"+").or_else(|| written.strip_prefix(b"-")).unwrap_or(written);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(written).ok()?.parse().ok()
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |n: &Number| {
            if n.is_zero() {
                0
            } else if n.negative {
                -1
            } else {
                1
            }
        };
        let signs = sign(self).cmp(&sign(other));
        if signs != Ordering::Equal || self.is_zero() {
            return signs;
        }
        let aligned = |n: &Number| n.coefficient * POWERS_OF_TEN[(DIGITS_MAX - n.digits()) as usize];
        let magnitudes =
            self.leading_exponent().cmp(&other.leading_exponent()).then_with(|| aligned(self).cmp(&aligned(other)));
        if self.negative { magnitudes.reverse() } else { magnitudes }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        let number = Number::from(value.unsigned_abs());
        if value < 0 { number.negated() } else { number }
    }
}

impl From<u64> for Number {
    fn from(mut value: u64) -> Self {
        if value == 0 {
            return Number::ZERO;
        }
        let mut exponent = 0;
        while value.is_multiple_of(10) {
            value /= 10;
            exponent += 1;
        }
        Number { coefficient: u128::from(value), exponent, negative: false }
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Number::from(value as u64)
    }
}

#[cfg(test)]
pub(crate) mod tests;
