use super::*;

const METADATA: &str = include_str!("../../../../tests/fuzz/src/federation/metadata.xml");
const ASSERTION: &str = include_str!("../../../../tests/fuzz/corpus/saml/assertion");
const RESPONSE: &str = include_str!("../../../../tests/fuzz/corpus/saml/response");
const BOTH: &str = include_str!("../../../../tests/fuzz/corpus/saml/both");
/// When signxml made these.
const MADE: i64 = 1_795_565_625;

fn check(xml: &str, now: i64) -> Result<super::Assertion, Refused> {
    let response = base64::engine::general_purpose::STANDARD.encode(xml);
    verify(&response, &Metadata::parse(METADATA).unwrap(), now)
}

#[test]
fn what_another_implementation_signed_is_read() {
    for xml in [ASSERTION, RESPONSE, BOTH] {
        let assertion = check(xml, MADE).unwrap();
        assert_eq!((assertion.subject.as_str(), assertion.issuer.as_str()), ("ann", "https://idp.example/saml"));
        assert_eq!(assertion.values("RoleSessionName"), ["visit"]);
    }
}

#[test]
fn an_assertion_is_good_for_minutes() {
    assert!(matches!(check(ASSERTION, MADE + 400), Err(Refused::Expired(_))));
    assert!(matches!(check(ASSERTION, MADE - 400), Err(Refused::Invalid(_))));
}

#[test]
fn what_was_changed_is_refused() {
    for (from, to) in [
        (">ann<", ">root<"),
        ("xmldsig-more#rsa-sha256", "rsa-sha1"),
        ("enveloped-signature", "base64"),
        ("URI=\"#_", "URI=\"#x"),
        (":status:Success", ":status:Requester"),
        ("<saml:Assertion ", "<saml:Assertion xmlns:more=\"urn:more\" more:id=\"x\" "),
    ] {
        assert!(ASSERTION.contains(from), "{from}");
        assert!(check(&ASSERTION.replacen(from, to, 1), MADE).is_err(), "{from}");
    }
    // A name in two pieces, for whom reads the first alone.
    assert!(check(&ASSERTION.replacen(">ann<", ">an<!-- -->n<", 1), MADE).is_err());
    assert!(check(&format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{ASSERTION}"), MADE).is_err());
    assert!(check(&format!("{}{}", "<a>".repeat(20_000), "</a>".repeat(20_000)), MADE).is_err());
    // Whitespace that isn't signed may change.
    assert!(check(&RESPONSE.replacen("<ds:SignatureValue>", "<ds:SignatureValue>\n", 1), MADE).is_ok());
}

/// Anybody may send a response, and somebody made the node stand still with one.
#[test]
fn a_response_that_nobody_signed_costs_little() {
    let refused = |xml: &str| match check(xml, MADE) {
        Err(Refused::Invalid(message)) => message,
        other => panic!("{other:?}"),
    };
    // Prefixes as long a list as fits, and namespaces in scope of all elements.
    let listed = |list: &str, more: &str| {
        let exclusive = "Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"";
        let holds = "<c:InclusiveNamespaces xmlns:c=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=";
        let plain = ASSERTION.replace(&format!("{exclusive}/>"), &format!("{exclusive}></x>"));
        assert_ne!(plain, ASSERTION, "the sample is written otherwise");
        let changed = plain.replace(&format!("{exclusive}></x>"), &format!("{exclusive}>{holds}\"{list}\"/></x>"));
        let method = changed.replacen("</x>", "</ds:CanonicalizationMethod>", 1).replace("</x>", "</ds:Transform>");
        method.replacen("</saml:Assertion>", &format!("{more}</saml:Assertion>"), 1)
    };
    assert_eq!(refused(&listed("a b a b", "")), "Response signature invalid");
    let many: String = (0..17).map(|i| format!("p{i} ")).collect();
    assert_eq!(refused(&listed(&many, "")), "The signature has an unsupported canonicalization");
    assert_eq!(refused(&listed(&"p ".repeat(10_000), "")), "Response signature invalid");
    // Content that would be too much to canonicalise isn't, as long as the signature isn't good.
    let large = format!("<b xmlns:p=\"{}\">{}</b>", "u".repeat(500), "<p:b/>".repeat(9_000));
    assert_eq!(refused(&listed("p", &large)), "Response signature invalid");
    let declared: String = (0..65).map(|i| format!("<b xmlns:p{i}=\"u\"/>")).collect();
    assert_eq!(refused(&listed("p", &declared)), "The document has too many namespaces");
}

#[test]
fn what_cannot_be_a_response_of_the_provider_is_refused_before_signatures_are_looked_at() {
    let decode = |text: &str| Response::decode(&base64::engine::general_purpose::STANDARD.encode(text));
    assert!(decode("<a><!-- x --></a>").is_err());
    assert!(Response::decode("*").is_err());
    assert!(Response::decode(&"A".repeat(RESPONSE_BYTES_MAX + 4)).is_err());
    let another = ASSERTION.replace("https://idp.example/saml", "https://elsewhere.example");
    let refused = decode(&another).unwrap().verify(&Metadata::parse(METADATA).unwrap(), MADE);
    assert_eq!(refused, Err(invalid("Issuer not present in specified provider")));
}
