//! The grammars of updates and projections.

use super::ast::*;
use super::lexer::TokenKind;
use super::parser::{Parse, Parser};

impl<'a> Parser<'a> {
    pub fn update(mut self) -> Parse<(RawUpdate<'a>, Shape)> {
        let mut update = RawUpdate { actions: Vec::new(), repeated_section: None };
        let mut seen = Vec::new();
        loop {
            let Some(section) = Section::ALL.into_iter().find(|section| self.at_keyword(section.keyword())) else {
                return self.error();
            };
            self.position += 1;
            if seen.contains(&section) {
                update.repeated_section.get_or_insert(section);
            }
            seen.push(section);
            loop {
                let action = self.action(section)?;
                update.actions.push(action);
                if !self.accept(TokenKind::Comma) {
                    break;
                }
            }
            if self.peek().kind == TokenKind::End {
                return Ok((update, self.shape));
            }
        }
    }

    pub fn projection(mut self) -> Parse<(Vec<RawPath<'a>>, Shape)> {
        let mut paths = vec![self.path()?];
        while self.accept(TokenKind::Comma) {
            paths.push(self.path()?);
        }
        self.expect(TokenKind::End)?;
        Ok((paths, self.shape))
    }

    fn action(&mut self, section: Section) -> Parse<RawAction<'a>> {
        let path = self.path()?;
        Ok(match section {
            Section::Set => {
                self.expect(TokenKind::Equal)?;
                RawAction::Set(path, self.set_value()?.0)
            }
            Section::Remove => RawAction::Remove(path),
            Section::Add => RawAction::Add(path, self.expect(TokenKind::ValuePlaceholder)?),
            Section::Delete => RawAction::Delete(path, self.expect(TokenKind::ValuePlaceholder)?),
        })
    }

    /// The right side of an assignment, and whether it stands in parentheses.
    fn set_value(&mut self) -> Parse<(RawSetValue<'a>, bool)> {
        let (left, parenthesized) = if self.accept(TokenKind::LeftParen) {
            let (value, redundant) = self.nested(Self::set_value)?;
            self.expect(TokenKind::RightParen)?;
            self.shape.redundant_parentheses |= redundant;
            match value {
                RawSetValue::Operand(operand) => (operand, true),
                value => return Ok((value, true)),
            }
        } else {
            (self.bare_operand()?, false)
        };
        let value: fn(_, _) -> _ = match self.peek().kind {
            TokenKind::Plus => RawSetValue::Sum,
            TokenKind::Minus => RawSetValue::Difference,
            _ => return Ok((RawSetValue::Operand(left), parenthesized)),
        };
        self.position += 1;
        self.operator();
        Ok((value(left, self.operand()?), false))
    }
}
