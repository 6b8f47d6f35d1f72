//! Selectors as they are sent.

use breakwater_audit::trails::{AdvancedSelector, EventSelector, FieldSelector, ReadWrite, Selectors};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Data {
    #[serde(rename = "Type")]
    pub kind: Option<String>,
    pub values: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Basic {
    pub read_write_type: Option<String>,
    pub include_management_events: Option<bool>,
    pub data_resources: Option<Vec<Data>>,
    pub exclude_management_event_sources: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Field {
    pub field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_with: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_with: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_equals: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_starts_with: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_ends_with: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Advanced {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub field_selectors: Option<Vec<Field>>,
}

pub fn word(side: ReadWrite) -> &'static str {
    match side {
        ReadWrite::All => "All",
        ReadWrite::ReadOnly => "ReadOnly",
        ReadWrite::WriteOnly => "WriteOnly",
    }
}

fn basic(selector: &EventSelector) -> Basic {
    let data = |data: &breakwater_audit::trails::DataResource| Data {
        kind: Some(data.kind.clone()),
        values: Some(data.values.clone()),
    };
    Basic {
        read_write_type: Some(word(selector.read_write).to_owned()),
        include_management_events: Some(selector.management),
        data_resources: Some(selector.data.iter().map(data).collect()),
        exclude_management_event_sources: Some(selector.excluded.clone()),
    }
}

fn field(selector: &FieldSelector) -> Field {
    let list = |values: &Vec<String>| (!values.is_empty()).then(|| values.clone());
    Field {
        field: Some(selector.field.clone()),
        equals: list(&selector.equals),
        starts_with: list(&selector.starts_with),
        ends_with: list(&selector.ends_with),
        not_equals: list(&selector.not_equals),
        not_starts_with: list(&selector.not_starts_with),
        not_ends_with: list(&selector.not_ends_with),
    }
}

fn advanced(selector: &AdvancedSelector) -> Advanced {
    let fields = selector.fields.iter().map(field).collect();
    Advanced { name: selector.name.clone(), field_selectors: Some(fields) }
}

/// As GetEventSelectors and PutEventSelectors answer.
pub fn shape(arn: &str, selectors: &Selectors) -> Value {
    match selectors {
        Selectors::Basic(all) => {
            json!({"TrailARN": arn, "EventSelectors": all.iter().map(basic).collect::<Vec<_>>()})
        }
        Selectors::Advanced(all) => {
            json!({"TrailARN": arn, "AdvancedEventSelectors": all.iter().map(advanced).collect::<Vec<_>>()})
        }
    }
}
