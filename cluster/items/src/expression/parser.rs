//! The grammar that conditions, updates and projections share, and the condition grammar.
//!
//! Recursive descent with a bound: what nests deeper than [`MAX_NESTING`] can't be valid (each level that is not
//! redundant needs an operator or a function, and 300 operators is all one may have), so it ends in the error
//! that AWS would give instead of a stack overflow.

use super::ast::*;
use super::condition::Comparator;
use super::error::Problem;
use super::lexer::{Token, TokenKind, Tokens};

const MAX_NESTING: usize = 310;
pub(super) const MAX_OPERATORS: usize = 300;

pub(super) const CONDITION_FUNCTIONS: [&str; 6] =
    ["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"];
pub(super) const UPDATE_FUNCTIONS: [&str; 2] = ["if_not_exists", "list_append"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    Condition,
    Update,
    Projection,
}

pub(super) struct Parser<'a> {
    pub(super) tokens: Tokens<'a>,
    pub(super) position: usize,
    grammar: Grammar,
    nesting: usize,
    pub(super) shape: Shape,
}

/// Conditions and operands can't be told apart before a parenthesis closes.
enum Node<'a> {
    Operand(RawOperand<'a>),
    Condition(RawCondition<'a>),
}

struct Parsed<'a> {
    node: Node<'a>,
    parenthesized: bool,
}

pub(super) type Parse<T> = Result<T, Problem>;

impl<'a> Parser<'a> {
    pub fn new(text: &'a str, grammar: Grammar) -> Self {
        Parser { tokens: Tokens::of(text), position: 0, grammar, nesting: 0, shape: Shape::default() }
    }

    pub fn condition(mut self) -> Parse<(RawCondition<'a>, Shape)> {
        let parsed = self.disjunction()?;
        let condition = self.as_condition(parsed)?;
        self.expect(TokenKind::End)?;
        Ok((condition, self.shape))
    }

    // ---- tokens

    pub(super) fn peek(&self) -> Token {
        self.tokens.get(self.position)
    }

    pub(super) fn error<T>(&self) -> Parse<T> {
        Err(self.tokens.syntax_error(self.position))
    }

    pub(super) fn accept(&mut self, kind: TokenKind) -> bool {
        let found = self.peek().kind == kind;
        if found {
            self.position += 1;
        }
        found
    }

    pub(super) fn expect(&mut self, kind: TokenKind) -> Parse<&'a str> {
        let token = self.peek();
        if token.kind != kind {
            return self.error();
        }
        self.position += 1;
        Ok(self.tokens.text(token))
    }

    pub(super) fn at_keyword(&self, keyword: &str) -> bool {
        let token = self.peek();
        token.kind == TokenKind::Identifier && self.tokens.text(token).eq_ignore_ascii_case(keyword)
    }

    fn accept_keyword(&mut self, keyword: &str) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.position += 1;
        }
        found
    }

    /// An identifier that is no keyword of this grammar.
    fn identifier(&mut self) -> Parse<&'a str> {
        let keyword = match self.grammar {
            Grammar::Condition => ["AND", "OR", "NOT", "BETWEEN", "IN"].iter().any(|word| self.at_keyword(word)),
            Grammar::Update => Section::ALL.iter().any(|section| self.at_keyword(section.keyword())),
            Grammar::Projection => false,
        };
        if keyword { self.error() } else { self.expect(TokenKind::Identifier) }
    }

    pub(super) fn operator(&mut self) {
        self.shape.operators += 1;
    }

    // ---- nesting

    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.nesting == MAX_NESTING {
            return Err(self.too_deep());
        }
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    /// What AWS would say about an expression that is nested too deep for it to be valid.
    #[cold]
    fn too_deep(&self) -> Problem {
        let mut open = Vec::new();
        let mut closed_at = vec![usize::MAX; self.tokens.len()];
        for position in 0..self.tokens.len() {
            match self.tokens.get(position).kind {
                TokenKind::LeftParen => open.push(position),
                TokenKind::RightParen => match open.pop() {
                    Some(opening) => closed_at[opening] = position,
                    None => return self.tokens.syntax_error(position),
                },
                _ => {}
            }
        }
        if !open.is_empty() {
            return self.tokens.syntax_error(self.tokens.len() - 1);
        }
        let doubled = |position: usize| {
            let inner = closed_at[position + 1];
            closed_at[position] != usize::MAX && inner != usize::MAX && inner + 1 == closed_at[position]
        };
        if (0..self.tokens.len() - 1).any(doubled) {
            return Problem::RedundantParentheses;
        }
        for position in 0..self.tokens.len() - 1 {
            let name = self.tokens.text(self.tokens.get(position));
            let called = self.tokens.get(position).kind == TokenKind::Identifier
                && self.tokens.get(position + 1).kind == TokenKind::LeftParen
                && !["AND", "OR", "NOT", "IN", "BETWEEN"].iter().any(|word| name.eq_ignore_ascii_case(word));
            if called && !CONDITION_FUNCTIONS.contains(&name) && !UPDATE_FUNCTIONS.contains(&name) {
                return Problem::UnknownFunction(name.to_owned());
            }
        }
        Problem::TooManyOperators(MAX_OPERATORS + 1)
    }

    // ---- operands

    pub(super) fn path(&mut self) -> Parse<RawPath<'a>> {
        let mut path = RawPath(vec![self.name_step()?]);
        self.path_tail(&mut path)?;
        Ok(path)
    }

    fn name_step(&mut self) -> Parse<RawStep<'a>> {
        if self.peek().kind == TokenKind::NamePlaceholder {
            Ok(RawStep::Placeholder(self.expect(TokenKind::NamePlaceholder)?))
        } else {
            Ok(RawStep::Name(self.identifier()?))
        }
    }

    fn path_tail(&mut self, path: &mut RawPath<'a>) -> Parse<()> {
        loop {
            if self.accept(TokenKind::Dot) {
                let step = self.name_step()?;
                path.0.push(step);
            } else if self.accept(TokenKind::LeftBracket) {
                path.0.push(RawStep::Index(self.expect(TokenKind::Number)?));
                self.expect(TokenKind::RightBracket)?;
            } else {
                return Ok(());
            }
        }
    }

    /// A path, a value or a function call, without parentheses around it.
    pub(super) fn bare_operand(&mut self) -> Parse<RawOperand<'a>> {
        match self.peek().kind {
            TokenKind::ValuePlaceholder => Ok(RawOperand::Value(self.expect(TokenKind::ValuePlaceholder)?)),
            TokenKind::Identifier if self.tokens.get(self.position + 1).kind == TokenKind::LeftParen => {
                let name = self.identifier()?;
                self.operator();
                self.expect(TokenKind::LeftParen)?;
                let arguments = self.nested(Self::operand_list)?;
                self.expect(TokenKind::RightParen)?;
                Ok(RawOperand::Function(RawFunction { name, arguments }))
            }
            _ => Ok(RawOperand::Path(self.path()?)),
        }
    }

    fn operand_list(&mut self) -> Parse<Vec<RawOperand<'a>>> {
        let mut operands = vec![self.operand()?];
        while self.accept(TokenKind::Comma) {
            operands.push(self.operand()?);
        }
        Ok(operands)
    }

    pub(super) fn operand(&mut self) -> Parse<RawOperand<'a>> {
        Ok(self.grouped_operand()?.0)
    }

    fn grouped_operand(&mut self) -> Parse<(RawOperand<'a>, bool)> {
        if !self.accept(TokenKind::LeftParen) {
            return Ok((self.bare_operand()?, false));
        }
        let (mut operand, redundant) = self.nested(Self::grouped_operand)?;
        self.expect(TokenKind::RightParen)?;
        self.shape.redundant_parentheses |= redundant;
        if self.grammar == Grammar::Condition && self.continue_path(Some(&mut operand))? {
            return Ok((operand, false));
        }
        Ok((operand, true))
    }

    /// `(a.b).c`: conditions may put parentheses around the first part of a path.
    fn continue_path(&mut self, operand: Option<&mut RawOperand<'a>>) -> Parse<bool> {
        if !matches!(self.peek().kind, TokenKind::Dot | TokenKind::LeftBracket) {
            return Ok(false);
        }
        match operand {
            Some(RawOperand::Path(path)) => self.path_tail(path).map(|()| true),
            _ => self.error(),
        }
    }

    // ---- conditions

    fn as_condition(&self, parsed: Parsed<'a>) -> Parse<RawCondition<'a>> {
        match parsed.node {
            Node::Condition(condition) => Ok(condition),
            Node::Operand(RawOperand::Function(function)) => Ok(RawCondition::Function(function)),
            Node::Operand(_) => self.error(),
        }
    }

    fn disjunction(&mut self) -> Parse<Parsed<'a>> {
        let first = self.conjunction()?;
        if !self.at_keyword("OR") {
            return Ok(first);
        }
        let mut parts = vec![self.as_condition(first)?];
        while self.accept_keyword("OR") {
            self.operator();
            let part = self.conjunction()?;
            parts.push(self.as_condition(part)?);
        }
        Ok(Parsed { node: Node::Condition(RawCondition::Any(parts)), parenthesized: false })
    }

    fn conjunction(&mut self) -> Parse<Parsed<'a>> {
        let first = self.negation()?;
        if !self.at_keyword("AND") {
            return Ok(first);
        }
        let mut parts = vec![self.as_condition(first)?];
        while self.accept_keyword("AND") {
            self.operator();
            let part = self.negation()?;
            parts.push(self.as_condition(part)?);
        }
        Ok(Parsed { node: Node::Condition(RawCondition::All(parts)), parenthesized: false })
    }

    fn negation(&mut self) -> Parse<Parsed<'a>> {
        let mut negations = 0;
        while self.accept_keyword("NOT") {
            self.operator();
            negations += 1;
        }
        let parsed = self.comparison()?;
        if negations == 0 {
            return Ok(parsed);
        }
        let mut condition = self.as_condition(parsed)?;
        // A longer chain is refused for its operators; building it would nest the tree as deep.
        for _ in 0..negations.min(MAX_OPERATORS) {
            condition = RawCondition::Not(Box::new(condition));
        }
        Ok(Parsed { node: Node::Condition(condition), parenthesized: false })
    }

    fn comparison(&mut self) -> Parse<Parsed<'a>> {
        let parsed = self.primary()?;
        let comparator = match self.peek().kind {
            TokenKind::Equal => Some(Comparator::Equal),
            TokenKind::NotEqual => Some(Comparator::NotEqual),
            TokenKind::Less => Some(Comparator::Less),
            TokenKind::LessOrEqual => Some(Comparator::LessOrEqual),
            TokenKind::Greater => Some(Comparator::Greater),
            TokenKind::GreaterOrEqual => Some(Comparator::GreaterOrEqual),
            _ if self.at_keyword("BETWEEN") || self.at_keyword("IN") => None,
            _ => return Ok(parsed),
        };
        let Node::Operand(left) = parsed.node else {
            return self.error();
        };
        self.operator();
        let condition = if let Some(comparator) = comparator {
            self.position += 1;
            RawCondition::Compare(left, comparator, self.operand()?)
        } else if self.accept_keyword("BETWEEN") {
            let lower = self.operand()?;
            if !self.accept_keyword("AND") {
                return self.error();
            }
            RawCondition::Between([left, lower, self.operand()?])
        } else {
            self.position += 1;
            self.expect(TokenKind::LeftParen)?;
            let candidates = self.operand_list()?;
            self.expect(TokenKind::RightParen)?;
            RawCondition::In(left, candidates)
        };
        Ok(Parsed { node: Node::Condition(condition), parenthesized: false })
    }

    fn primary(&mut self) -> Parse<Parsed<'a>> {
        if !self.accept(TokenKind::LeftParen) {
            return Ok(Parsed { node: Node::Operand(self.bare_operand()?), parenthesized: false });
        }
        let mut parsed = self.nested(Self::disjunction)?;
        self.expect(TokenKind::RightParen)?;
        self.shape.redundant_parentheses |= parsed.parenthesized;
        let operand = match &mut parsed.node {
            Node::Operand(operand) => Some(operand),
            Node::Condition(_) => None,
        };
        let continued = self.continue_path(operand)?;
        Ok(Parsed { node: parsed.node, parenthesized: !continued })
    }
}
