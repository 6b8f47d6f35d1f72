//! From selectors as they are sent to those that are stored, within AWS's limits.

use super::wire::{Advanced, Basic, Field};
use crate::cloudtrail::errors;
use breakwater_audit::trails::{AdvancedSelector, DataResource, EventSelector, FieldSelector, ReadWrite, Selectors};
use breakwater_aws::AwsError;
use breakwater_meta::records::to_stored;

const BASIC_MAX: usize = 5;
/// Of all basic selectors of a trail.
const RESOURCES_MAX: usize = 250;
/// Of all advanced selectors of a trail.
const VALUES_MAX: usize = 500;
const NAME_CHARACTERS_MAX: usize = 1_000;
const VALUE_CHARACTERS_MAX: usize = 2_048;
/// As they are stored: a trail's record also remembers selectors of before.
const STORED_BYTES_MAX: usize = 512 << 10;

/// What basic selectors know, and how the ARNs of each begin.
const DATA_TYPES: &[(&str, &str)] = &[
    ("AWS::DynamoDB::Table", "arn:aws:dynamodb"),
    ("AWS::Lambda::Function", "arn:aws:lambda"),
    ("AWS::S3::Object", "arn:aws:s3"),
];
const EXCLUDABLE: &[&str] = &["kms.amazonaws.com", "rdsdata.amazonaws.com"];

/// Of a trail; only event data stores know more.
const MANAGEMENT_FIELDS: &[&str] = &["eventCategory", "eventSource", "readOnly"];
const DATA_FIELDS: &[&str] = &[
    "eventCategory",
    "eventName",
    "eventSource",
    "eventType",
    "readOnly",
    "resources.ARN",
    "resources.type",
    "sessionCredentialFromConsole",
    "userIdentity.arn",
];
/// Which only have Equals.
const EQUALS_ONLY: &[&str] = &["eventCategory", "readOnly", "resources.type"];

pub fn selectors(basic: Option<Vec<Basic>>, advanced: Option<Vec<Advanced>>) -> Result<Selectors, AwsError> {
    let selectors = match (basic, advanced) {
        (Some(_), Some(_)) => {
            Err(errors::selectors("You cannot specify both event selectors and advanced event selectors for a trail."))
        }
        (None, None) => Err(errors::selectors("You must specify event selectors or advanced event selectors.")),
        (Some(all), None) => read_basic(all).map(Selectors::Basic),
        (None, Some(all)) => read_advanced(all).map(Selectors::Advanced),
    }?;
    if to_stored(&selectors).map_err(AwsError::internal)?.len() > STORED_BYTES_MAX {
        let message = format!("A trail's event selectors can have {} KB at most.", STORED_BYTES_MAX >> 10);
        return Err(errors::selectors(message));
    }
    Ok(selectors)
}

fn read_basic(all: Vec<Basic>) -> Result<Vec<EventSelector>, AwsError> {
    if all.is_empty() || all.len() > BASIC_MAX {
        return Err(errors::selectors(format!("A trail must have between 1 and {BASIC_MAX} event selectors.")));
    }
    let resources = all.iter().flat_map(|s| s.data_resources.iter().flatten()).flat_map(|d| d.values.iter().flatten());
    if resources.count() > RESOURCES_MAX {
        return Err(errors::selectors(format!("A trail can have {RESOURCES_MAX} data resources at most.")));
    }
    all.into_iter().map(read_one).collect()
}

fn read_one(selector: Basic) -> Result<EventSelector, AwsError> {
    let read_write = match selector.read_write_type.as_deref() {
        None | Some("All") => ReadWrite::All,
        Some("ReadOnly") => ReadWrite::ReadOnly,
        Some("WriteOnly") => ReadWrite::WriteOnly,
        Some(other) => return Err(errors::selectors(format!("{other:.100} is not a valid ReadWriteType."))),
    };
    let management = selector.include_management_events.unwrap_or(true);
    let mut data = Vec::new();
    for resource in selector.data_resources.unwrap_or_default() {
        let kind = resource.kind.unwrap_or_default();
        let known = DATA_TYPES.iter().find(|(known, _)| *known == kind);
        let (_, begin) =
            known.ok_or_else(|| errors::selectors(format!("{kind:.100} is not a valid data resource type.")))?;
        let values = resource.values.unwrap_or_default();
        let fits = |value: &String| {
            value.len() <= VALUE_CHARACTERS_MAX
                && value.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        if values.is_empty() || !values.iter().all(fits) {
            return Err(errors::selectors(format!("The values of the data resource type {kind} must be its ARNs.")));
        }
        data.push(DataResource { kind, values });
    }
    let excluded = selector.exclude_management_event_sources.unwrap_or_default();
    if !excluded.iter().all(|source| EXCLUDABLE.contains(&source.as_str())) {
        let message = format!("Only {} can be excluded.", EXCLUDABLE.join(" and "));
        return Err(errors::selectors(message));
    }
    if !management && !excluded.is_empty() {
        let message = "Management event sources can be excluded only where management events are included.";
        return Err(errors::selectors(message));
    }
    if !management && data.is_empty() {
        return Err(errors::selectors("An event selector must select management events or data events."));
    }
    Ok(EventSelector { read_write, management, data, excluded })
}

fn read_advanced(all: Vec<Advanced>) -> Result<Vec<AdvancedSelector>, AwsError> {
    if all.is_empty() {
        return Err(errors::selectors("A trail must have at least 1 advanced event selector."));
    }
    let selectors: Vec<_> = all.into_iter().map(read_selector).collect::<Result<_, _>>()?;
    if selectors.iter().flat_map(|s| &s.fields).map(FieldSelector::values).sum::<usize>() > VALUES_MAX {
        return Err(errors::selectors(format!(
            "A trail's advanced event selectors can have {VALUES_MAX} values at most."
        )));
    }
    Ok(selectors)
}

fn read_selector(selector: Advanced) -> Result<AdvancedSelector, AwsError> {
    let name = selector.name.filter(|name| !name.is_empty());
    if name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARACTERS_MAX) {
        return Err(errors::selectors(format!("A selector's name can have {NAME_CHARACTERS_MAX} characters at most.")));
    }
    let fields: Vec<_> =
        selector.field_selectors.unwrap_or_default().into_iter().map(read_field).collect::<Result<_, _>>()?;
    let field = |name: &str| fields.iter().find(|f| f.field == name);
    let one = |name: &str| match field(name).map(|f| f.equals.as_slice()) {
        Some([one]) => Some(one.as_str()),
        _ => None,
    };
    let known = match one("eventCategory") {
        Some("Management") => MANAGEMENT_FIELDS,
        Some("Data") => DATA_FIELDS,
        Some("NetworkActivity") => {
            return Err(errors::selectors("Network activity events are not available in this Region."));
        }
        _ => {
            return Err(errors::selectors(
                "A selector needs the field eventCategory with Equals and one of Management, Data and NetworkActivity.",
            ));
        }
    };
    for (at, field) in fields.iter().enumerate() {
        if !known.contains(&field.field.as_str()) {
            return Err(errors::selectors(format!("The field {:.100} is not valid in this selector.", field.field)));
        }
        if fields[..at].iter().any(|before| before.field == field.field) {
            return Err(errors::selectors(format!("The field {} is there twice.", field.field)));
        }
        if EQUALS_ONLY.contains(&field.field.as_str()) && field.values() != field.equals.len() {
            return Err(errors::selectors(format!("The field {} can have Equals only.", field.field)));
        }
        let is_flag = ["readOnly", "sessionCredentialFromConsole"].contains(&field.field.as_str());
        if is_flag && !field.lists().iter().all(|list| list.iter().all(|v| v == "true" || v == "false")) {
            return Err(errors::selectors(format!("The field {} can be true or false.", field.field)));
        }
    }
    if known == MANAGEMENT_FIELDS
        && let Some(source) = field("eventSource")
        && (source.values() != source.not_equals.len()
            || !source.not_equals.iter().all(|v| EXCLUDABLE.contains(&v.as_str())))
    {
        let message = format!("Of management events only the sources {} can be left out.", EXCLUDABLE.join(" and "));
        return Err(errors::selectors(message));
    }
    // AWS has more than a hundred, and we few: those of others select nothing.
    let is_type = |kind: &str| kind.starts_with("AWS::") && kind.split("::").all(|part| !part.is_empty());
    if known == DATA_FIELDS && !one("resources.type").is_some_and(is_type) {
        return Err(errors::selectors("A selector of data events needs the field resources.type with one type."));
    }
    Ok(AdvancedSelector { name, fields })
}

fn read_field(field: Field) -> Result<FieldSelector, AwsError> {
    let selector = FieldSelector {
        field: field.field.unwrap_or_default(),
        equals: field.equals.unwrap_or_default(),
        starts_with: field.starts_with.unwrap_or_default(),
        ends_with: field.ends_with.unwrap_or_default(),
        not_equals: field.not_equals.unwrap_or_default(),
        not_starts_with: field.not_starts_with.unwrap_or_default(),
        not_ends_with: field.not_ends_with.unwrap_or_default(),
    };
    if selector.values() == 0 {
        return Err(errors::selectors(format!("The field {:.100} needs an operator with a value.", selector.field)));
    }
    let fits = |value: &String| (1..=VALUE_CHARACTERS_MAX).contains(&value.chars().count());
    if !selector.lists().iter().all(|list| list.iter().all(fits)) {
        let message = format!("Values must have between 1 and {VALUE_CHARACTERS_MAX} characters.");
        return Err(errors::selectors(message));
    }
    Ok(selector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(basic: Value, advanced: Value) -> Result<Selectors, AwsError> {
        selectors(serde_json::from_value(basic).unwrap(), serde_json::from_value(advanced).unwrap())
    }

    #[test]
    fn what_is_read_is_shown_as_it_was_sent() {
        let basic = json!([{
            "ReadWriteType": "WriteOnly",
            "IncludeManagementEvents": true,
            "DataResources": [{"Type": "AWS::DynamoDB::Table", "Values": ["arn:aws:dynamodb:us-east-1:1:table/t"]}],
            "ExcludeManagementEventSources": ["kms.amazonaws.com"],
        }]);
        let stored = read(basic.clone(), Value::Null).unwrap();
        assert_eq!(super::super::wire::shape("a", &stored)["EventSelectors"], basic);
        let advanced = json!([{
            "Name": "writes of one table",
            "FieldSelectors": [
                {"Field": "eventCategory", "Equals": ["Data"]},
                {"Field": "resources.type", "Equals": ["AWS::DynamoDB::Table"]},
                {"Field": "resources.ARN", "StartsWith": ["arn:aws:dynamodb"], "NotEndsWith": ["/t"]},
                {"Field": "readOnly", "Equals": ["false"]},
            ],
        }]);
        let stored = read(Value::Null, advanced.clone()).unwrap();
        assert_eq!(super::super::wire::shape("a", &stored)["AdvancedEventSelectors"], advanced);
        assert_eq!(read(json!([{}]), Value::Null).unwrap(), Selectors::default());
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        let field = |name: &str, operator: &str, value: &str| json!({"Field": name, operator: [value]});
        let management = field("eventCategory", "Equals", "Management");
        let data = field("eventCategory", "Equals", "Data");
        let tables = field("resources.type", "Equals", "AWS::DynamoDB::Table");
        let one = |fields: Value| json!([{ "FieldSelectors": fields }]);
        let resource = |kind: &str, value: &str| json!([{"DataResources": [{"Type": kind, "Values": [value]}]}]);
        for (basic, advanced) in [
            (Value::Null, Value::Null),
            (json!([{}]), one(json!([management]))),
            (json!([]), Value::Null),
            (json!([{}, {}, {}, {}, {}, {}]), Value::Null),
            (json!([{"ReadWriteType": "Some"}]), Value::Null),
            (json!([{"IncludeManagementEvents": false}]), Value::Null),
            (json!([{"ExcludeManagementEventSources": ["iam.amazonaws.com"]}]), Value::Null),
            (resource("AWS::EC2::Instance", "arn:aws:ec2"), Value::Null),
            (resource("AWS::DynamoDB::Table", "arn:aws:s3"), Value::Null),
            (resource("AWS::DynamoDB::Table", "arn:aws:dynamodbs"), Value::Null),
            (Value::Null, json!([])),
            (Value::Null, one(json!([]))),
            (Value::Null, one(json!([field("readOnly", "Equals", "true")]))),
            (Value::Null, one(json!([field("eventCategory", "Equals", "Other")]))),
            (Value::Null, one(json!([field("eventCategory", "StartsWith", "Data")]))),
            (Value::Null, one(json!([management, management]))),
            (Value::Null, one(json!([management, field("resources.ARN", "Equals", "x")]))),
            (Value::Null, one(json!([management, field("readOnly", "Equals", "maybe")]))),
            (Value::Null, one(json!([management, field("readOnly", "NotEquals", "true")]))),
            (Value::Null, one(json!([management, {"Field": "eventSource"}]))),
            (Value::Null, one(json!([management, {"Field": "eventSource", "Equals": [""]}]))),
            (Value::Null, one(json!([management, field("eventSource", "Equals", "kms.amazonaws.com")]))),
            (Value::Null, one(json!([management, field("eventSource", "NotEquals", "iam.amazonaws.com")]))),
            (Value::Null, one(json!([management, field("eventName", "Equals", "CreateUser")]))),
            (Value::Null, one(json!([management, field("userIdentity.arn", "StartsWith", "arn:")]))),
            (Value::Null, one(json!([data, field("resources.type", "Equals", "tables")]))),
            (Value::Null, one(json!([data]))),
            (Value::Null, one(json!([data, tables, field("awsRegion", "Equals", "x")]))),
            (Value::Null, one(json!([data, tables, {"Field": "eventName", "Equals": vec!["x"; 501]}]))),
            // Few enough, and not too long each, but more than a record takes.
            (Value::Null, one(json!([data, tables, {"Field": "eventName", "Equals": vec!["é".repeat(2_000); 450]}]))),
        ] {
            let refused = read(basic.clone(), advanced.clone());
            assert_eq!(refused.unwrap_err().code, "InvalidEventSelectorsException", "{basic} {advanced}");
        }
    }
}
