//! What can be wrong with an expression. `Display` gives the text of AWS's ValidationException.
//!
//! Sources of the wording: the tests of dynalite, of ScyllaDB's Alternator and of paritysuite's
//! dynamodb-conformance, which all run against AWS, and the messages of DynamoDB local. In some regions AWS now
//! puts `1 validation error detected: ` in front of a part of them; that envelope is the operation's affair.

use serde::{Deserialize, Serialize};

/// Which request parameter an expression came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpressionKind {
    Condition,
    Filter,
    Update,
    Projection,
    KeyCondition,
}

impl ExpressionKind {
    /// The parameter's name, as in `FilterExpression`.
    pub fn parameter(self) -> &'static str {
        match self {
            ExpressionKind::Condition => "ConditionExpression",
            ExpressionKind::Filter => "FilterExpression",
            ExpressionKind::Update => "UpdateExpression",
            ExpressionKind::Projection => "ProjectionExpression",
            ExpressionKind::KeyCondition => "KeyConditionExpression",
        }
    }
}

impl std::fmt::Display for ExpressionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.parameter())
    }
}

/// Why a request's expressions or their legacy forms are refused. Always a ValidationException.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    #[error("Invalid {kind}: {problem}")]
    Invalid { kind: ExpressionKind, problem: Problem },

    #[error("{0} must not be empty")]
    EmptyPlaceholders(Placeholders),
    #[error("{0} contains invalid key: Syntax error; key: \"{1}\"")]
    InvalidPlaceholder(Placeholders, String),
    #[error("{0} contains invalid key: The expression attribute map contains a key that is too long; key: \"{1}\"")]
    PlaceholderTooLong(Placeholders, String),
    /// The text comes from whoever decoded the value.
    #[error("{0} contains invalid value: {message} for key {key}", message = .1, key = .2)]
    InvalidPlaceholderValue(Placeholders, String, String),
    #[error("Value provided in {0} unused in expressions: keys: {{{keys}}}", keys = .1.join(", "))]
    UnusedPlaceholders(Placeholders, Vec<String>),
    #[error("ExpressionAttributeNames can only be specified when using expressions")]
    NamesWithoutExpressions,
    #[error("ExpressionAttributeValues can only be specified when using expressions: {}", null_expressions(.0))]
    ValuesWithoutExpressions(Vec<ExpressionKind>),
    #[error(
        "Can not use both expression and non-expression parameters in the same request: \
         Non-expression parameters: {{{non_expression}}} Expression parameters: {{{expression}}}",
        non_expression = .non_expression.join(", "),
        expression = .expression.join(", ")
    )]
    MixedParameters { non_expression: Vec<&'static str>, expression: Vec<&'static str> },

    #[error(
        "One or more parameter values were invalid: Cannot update attribute {0}. This attribute is part of the key"
    )]
    UpdatesKey(String),
    #[error("{parameter} can only contain non-primary key attributes: Primary key attribute: {attribute}")]
    FilterOnKey { parameter: &'static str, attribute: String },
    #[error(
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: \
         {which}: {attribute}"
    )]
    NestedKeyPath { which: &'static str, attribute: String },

    #[error("Invalid operator used in KeyConditionExpression: {0}")]
    KeyConditionOperator(String),
    #[error("KeyConditionExpressions cannot contain nested operations")]
    KeyConditionNestedOperation,
    #[error("KeyConditionExpressions cannot have conditions on nested attributes")]
    KeyConditionNestedPath,
    #[error(
        "Invalid condition in KeyConditionExpression: {0} operator must have the key attribute as its first operand"
    )]
    KeyConditionFirstOperand(String),
    #[error("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")]
    KeyConditionTwoAttributes,
    #[error("Invalid condition in KeyConditionExpression: No key attribute specified")]
    KeyConditionNoAttribute,
    #[error(
        "The number of query conditions ({given}) exceeds the number of key attributes defined in the schema ({keys})"
    )]
    TooManyKeyConditions { given: usize, keys: usize },
    #[error("Conditions can be of length 1 or 2 only")]
    KeyConditionCount,
    #[error("Query condition missed key schema element: {0}")]
    MissingKeyCondition(String),
    #[error("Query key condition not supported")]
    KeyConditionNotSupported,
    #[error("Attempted conditional constraint is not an indexable operation")]
    NotIndexable,
    #[error("One or more parameter values were invalid: Condition parameter type does not match schema type")]
    KeyConditionType,
    #[error(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an \
         empty {what} value. Key: {key}"
    )]
    EmptyKeyValue { what: &'static str, key: String },

    #[error("ConditionalOperator cannot be used without Filter or Expected")]
    ConditionalOperatorAlone,
    #[error("ConditionalOperator can only be used when Filter or Expected has two or more elements")]
    ConditionalOperatorOnOne,
    /// Everything that AWS reports as `One or more parameter values were invalid: ...` about legacy parameters.
    #[error("One or more parameter values were invalid: {0}")]
    InvalidParameter(String),
    #[error("The BETWEEN condition was provided a range where the lower bound is greater than the upper bound")]
    BetweenBounds,
}

fn null_expressions(kinds: &[ExpressionKind]) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.parameter()).collect();
    format!("{} {} null", names.join(" and "), if names.len() > 1 { "are" } else { "is" })
}

/// The two maps that expressions draw on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholders {
    Names,
    Values,
}

impl std::fmt::Display for Placeholders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Placeholders::Names => "ExpressionAttributeNames",
            Placeholders::Values => "ExpressionAttributeValues",
        })
    }
}

/// What is wrong inside one expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("The expression can not be empty;")]
    Empty,
    #[error("Expression size has exceeded the maximum allowed size; expression size: {0}")]
    TooLong(usize),
    #[error("Syntax error; token: \"{token}\", near: \"{near}\"")]
    Syntax { token: String, near: String },
    #[error("The expression has redundant parentheses;")]
    RedundantParentheses,
    #[error("Invalid function name; function: {0}")]
    UnknownFunction(String),
    #[error("The function is not allowed in a condition expression; function: {0}")]
    NotAConditionFunction(String),
    #[error("The function is not allowed in an update expression; function: {0}")]
    NotAnUpdateFunction(String),
    #[error("The function is not allowed to be used this way in an expression; function: {0}")]
    MisusedFunction(String),
    #[error("Attribute name is a reserved keyword; reserved keyword: {0}")]
    ReservedKeyword(String),
    #[error("List index is not within the allowable range; index: [{0}]")]
    IndexOutOfRange(String),
    #[error("The expression contains too many operators; operator count: {0}")]
    TooManyOperators(usize),
    #[error("An expression attribute name used in the document path is not defined; attribute name: {0}")]
    UndefinedName(String),
    #[error("An expression attribute value used in expression is not defined; attribute value: {0}")]
    UndefinedValue(String),
    #[error("The document path has too many nesting levels; nesting levels: {0}")]
    PathTooDeep(usize),
    #[error(
        "Incorrect number of operands for operator or function; operator or function: {function}, \
         number of operands: {count}"
    )]
    OperandCount { function: String, count: usize },
    #[error("The IN operator is provided with too many operands; number of operands: {0}")]
    TooManyInOperands(usize),
    #[error(
        "The first operand must be distinct from the remaining operands for this operator or function; \
         operator: {operator}, first operand: {operand}"
    )]
    SameOperands { operator: String, operand: String },
    #[error("Operator or function requires a document path; operator or function: {0}")]
    PathRequired(String),
    #[error(
        "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {operand}"
    )]
    OperandType { operator: String, operand: String },
    #[error("Invalid attribute type name found; type: {0}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}")]
    UnknownAttributeType(String),
    #[error(
        "The BETWEEN operator requires same data type for lower and upper bounds; \
         lower bound operand: {lower}, upper bound operand: {upper}"
    )]
    BetweenTypes { lower: String, upper: String },
    #[error(
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; \
         lower bound operand: {lower}, upper bound operand: {upper}"
    )]
    BetweenBounds { lower: String, upper: String },
    #[error("The \"{0}\" section can only be used once in an update expression;")]
    RepeatedSection(&'static str),
    #[error(
        "Incorrect operand type for operator or function; operator: {section}, operand type: {operand}, \
         typeSet: ALLOWED_FOR_{section}_OPERAND"
    )]
    SectionOperandType { section: &'static str, operand: &'static str },
    #[error(
        "Two document paths overlap with each other; must remove or rewrite one of these paths; \
         path one: {one}, path two: {two}"
    )]
    OverlappingPaths { one: String, two: String },
    #[error(
        "Two document paths conflict with each other; must remove or rewrite one of these paths; \
         path one: {one}, path two: {two}"
    )]
    ConflictingPaths { one: String, two: String },
    #[error("KeyConditionExpressions must only contain one condition per key")]
    RepeatedKeyCondition,
}

/// Why a compiled update can't be done on the item at hand. A ValidationException too, but found by the leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum EvaluationError {
    #[error("An operand in the update expression has an incorrect data type")]
    IncorrectOperandType,
    #[error("The provided expression refers to an attribute that does not exist in the item")]
    MissingAttribute,
    #[error("The document path provided in the update expression is invalid for update")]
    InvalidPath,
    #[error("Type mismatch for attribute to update")]
    TypeMismatch,
    /// The sum or difference is no DynamoDB number; the text is the number's own error.
    #[error("{0}")]
    Number(String),
}
