use std::str::FromStr;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use proptest::prelude::*;

use super::*;

fn number(text: &str) -> Number {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Every number, with few and with many digits, near and far.
pub(crate) fn numbers() -> impl Strategy<Value = Number> {
    let digits = prop_oneof![0u128..1000, any::<u64>().prop_map(u128::from), 0..POWERS_OF_TEN[38]];
    let exponents = prop_oneof![-3i32..4, -45i32..45, -170i32..130];
    (any::<bool>(), digits, exponents).prop_filter_map("out of range", |(negative, digits, exponent)| {
        Number::normalised(negative, digits, exponent).ok()
    })
}

fn exact(number: &Number) -> BigDecimal {
    let coefficient = BigInt::from(number.coefficient) * if number.negative { -1 } else { 1 };
    BigDecimal::new(coefficient, -i64::from(number.exponent))
}

/// What AWS would store of an exact result.
fn stored(exact: &BigDecimal) -> Result<Number, NumberError> {
    let (digits, scale) = exact.normalized().into_bigint_and_exponent();
    let text = digits.magnitude().to_string();
    if text == "0" {
        return Ok(Number::ZERO);
    }
    let leading = text.len() as i64 - 1 - scale;
    if leading < i64::from(EXPONENT_MIN) {
        return Err(NumberError::Underflow);
    }
    if leading > i64::from(EXPONENT_MAX) || text.len() > 38 {
        return Err(NumberError::Overflow);
    }
    Ok(Number::from_parts(digits.sign() == bigdecimal::num_bigint::Sign::Minus, -scale as i16, text.parse().unwrap())
        .unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_text_is_exact_and_reads_back(n in numbers()) {
        let text = n.to_string();
        prop_assert_eq!(BigDecimal::from_str(&text).unwrap(), exact(&n));
        prop_assert!(!text.contains(['e', 'E', '+']));
        prop_assert_eq!(number(&text), n);
    }

    #[test]
    fn parsing_agrees_with_bigdecimal(text in "[+-]?[0-9]{0,20}(\\.[0-9]{0,25})?([eE][+-]?[0-9]{1,2})?") {
        let reference = BigDecimal::from_str(&text);
        match Number::from_str(&text) {
            Ok(n) => prop_assert_eq!(exact(&n), reference.unwrap()),
            Err(NumberError::NotNumeric(_)) => prop_assert!(!text.bytes().take_while(|b| *b != b'e' && *b != b'E').any(|b| b.is_ascii_digit())),
            Err(NumberError::TooPrecise) => {
                let (digits, _) = reference.unwrap().normalized().into_bigint_and_exponent();
                prop_assert!(digits.magnitude().to_string().len() > 38);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn any_text_is_a_number_or_an_error(text in "[0-9eE.+\\- x]{0,60}") {
        if let Ok(n) = Number::from_str(&text) {
            prop_assert_eq!(BigDecimal::from_str(&text).unwrap(), exact(&n));
        }
    }

    #[test]
    fn order_is_numeric(a in numbers(), b in numbers()) {
        prop_assert_eq!(a.cmp(&b), exact(&a).cmp(&exact(&b)));
        prop_assert_eq!(a == b, exact(&a) == exact(&b));
    }

    #[test]
    fn ordered_bytes_keep_the_order_and_read_back(a in numbers(), b in numbers(), tail in any::<[u8; 3]>()) {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        a.encode_ordered(&mut x);
        b.encode_ordered(&mut y);
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert!(x.len() <= ORDERED_LEN_MAX);
        // Whatever follows, the bytes end by themselves.
        x.extend_from_slice(&tail);
        prop_assert_eq!(Number::decode_ordered(&x), Some((a, &tail[..])));
    }

    #[test]
    fn neighbours_keep_the_order(a in numbers(), step in -3i64..4) {
        if let Ok(b) = a.checked_add(Number::from(step)) {
            prop_assert_eq!(a.cmp(&b), 0.cmp(&step));
        }
    }

    #[test]
    fn ordered_bytes_of_noise_are_canonical_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..30), class in 0u8..5) {
        let mut noise = vec![class];
        noise.extend(bytes);
        if let Some((n, rest)) = Number::decode_ordered(&noise) {
            let mut again = Vec::new();
            n.encode_ordered(&mut again);
            prop_assert_eq!(again.as_slice(), &noise[..noise.len() - rest.len()]);
        }
    }

    #[test]
    fn sums_are_exact(a in numbers(), b in numbers()) {
        prop_assert_eq!(a.checked_add(b), stored(&(exact(&a) + exact(&b))));
        prop_assert_eq!(a.checked_sub(b), stored(&(exact(&a) - exact(&b))));
        prop_assert_eq!(a.checked_sub(a), Ok(Number::ZERO));
    }

    /// Operands that nearly meet, where digits cancel and carries run through.
    #[test]
    fn near_sums_are_exact(a in (POWERS_OF_TEN[37]..POWERS_OF_TEN[38], -3i32..4), b in (POWERS_OF_TEN[37]..POWERS_OF_TEN[38], -3i32..4), signs: (bool, bool)) {
        let a = Number::normalised(signs.0, a.0, a.1).unwrap();
        let b = Number::normalised(signs.1, b.0, b.1).unwrap();
        prop_assert_eq!(a.checked_add(b), stored(&(exact(&a) + exact(&b))));
        let top = Number::normalised(signs.0, 1, 40).unwrap();
        prop_assert_eq!(top.checked_add(b), stored(&(exact(&top) + exact(&b))));
    }

    #[test]
    fn serde_reads_back(n in numbers()) {
        let parts: Parts = n.into();
        prop_assert_eq!(Number::try_from(parts), Ok(n));
    }

    #[test]
    fn integers_convert(value: i64) {
        prop_assert_eq!(Number::from(value).to_i64(), Some(value));
        prop_assert_eq!(Number::from(value).to_string(), value.to_string());
        prop_assert_eq!(number(&value.to_string()), Number::from(value));
    }
}

#[test]
fn texts_are_normalised() {
    for (written, stored) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("0e125", "0"),
        ("007", "7"),
        ("+3", "3"),
        (".123", "0.123"),
        ("5.", "5"),
        ("0001.2300", "1.23"),
        ("1e+5", "100000"),
        ("-17.4E37", "-174000000000000000000000000000000000000"),
        ("100", "100"),
        ("1e-3", "0.001"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("1.0000000000000000000000000000000000000000000000", "1"),
    ] {
        assert_eq!(number(written).to_string(), stored, "{written}");
    }
    assert_eq!(number("1E125").to_string(), format!("1{}", "0".repeat(125)));
    assert_eq!(number("1E-130").to_string(), format!("0.{}1", "0".repeat(129)));
    let longest = "-1.2345678901234567890123456789012345678E-130";
    assert_eq!(number(longest).to_string(), format!("-0.{}12345678901234567890123456789012345678", "0".repeat(129)));
}

/// From paritysuite/dynamodb-conformance: valueLayers.test.ts and numberExponent.test.ts.
#[test]
fn errors_are_awss() {
    const OVERFLOW: &str = "Number overflow. Attempting to store a number with magnitude larger than supported range";
    const UNDERFLOW: &str =
        "Number underflow. Attempting to store a number with magnitude smaller than supported range";
    for (text, message) in [
        ("1e99999999999", OVERFLOW),
        ("-1e99999999999", OVERFLOW),
        ("1e-99999999999", UNDERFLOW),
        ("1e2147483648", OVERFLOW),
        ("1e9223372036854775807", OVERFLOW),
        ("1e-9223372036854775808", UNDERFLOW),
        ("1e126", OVERFLOW),
        ("11e125", OVERFLOW),
        ("1e-131", UNDERFLOW),
        ("0.9e-130", UNDERFLOW),
        ("0e126", OVERFLOW),
        ("0e-131", UNDERFLOW),
        (
            "1234567890123456789012345678901234567890.1",
            "Attempting to store more than 38 significant digits in a Number",
        ),
    ] {
        assert_eq!(Number::from_str(text).unwrap_err().to_string(), message, "{text}");
    }
    for text in [
        "abc",
        "",
        "1.2.3",
        " 1",
        "1 ",
        "0x10",
        "1e",
        "1e+",
        "e5",
        "NaN",
        "Infinity",
        "-",
        ".",
        "1,0",
        "1e1.5",
        "--1",
        "1e9223372036854775808",
        "١",
    ] {
        assert_eq!(
            Number::from_str(text).unwrap_err().to_string(),
            format!("The parameter cannot be converted to a numeric value: {text}")
        );
    }
    let long = format!("{}1{}", "0".repeat(2_000_000), "0".repeat(2_000_000));
    assert_eq!(Number::from_str(&long).unwrap_err(), NumberError::Overflow);
    let long = format!("0.{}1", "0".repeat(2_000_000));
    assert_eq!(Number::from_str(&long).unwrap_err(), NumberError::Underflow);
    assert_eq!(Number::from_str(&"9".repeat(126)).unwrap_err(), NumberError::TooPrecise);
}

#[test]
fn sums_that_do_not_fit_overflow() {
    let largest = number("9.9999999999999999999999999999999999999E+125");
    assert_eq!(largest.checked_add(number("1E88")), Err(NumberError::Overflow));
    assert_eq!(number("9e125").checked_add(number("9e125")), Err(NumberError::Overflow));
    assert_eq!(number("1e50").checked_sub(number("1")), Err(NumberError::Overflow));
    assert_eq!(number("1e125").checked_add(number("1e-130")), Err(NumberError::Overflow));
    assert_eq!(number("1e38").checked_sub(number("1")).unwrap(), number(&"9".repeat(38)));
    let (a, b) = (number("1.1e-130"), number("-1e-130"));
    assert_eq!(a.checked_add(b), Err(NumberError::Underflow));
}

#[test]
fn parts_that_are_not_canonical_are_refused() {
    for (negative, exponent, coefficient) in [
        (true, 0, 0),
        (false, 1, 0),
        (false, 0, 10),
        (false, 0, POWERS_OF_TEN[38] + 1),
        (false, 126, 1),
        (false, -131, 1),
        (false, i16::MAX, 1),
        (false, i16::MIN, 1),
    ] {
        assert_eq!(Number::from_parts(negative, exponent, coefficient), None);
    }
}
