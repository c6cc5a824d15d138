//! From SQL text to a physical expression: parse, check, plan, coerce, fold constants.

use crate::Error;
use crate::functions::{Provider, refusal};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DataFusionError, ScalarValue, SchemaError};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion_sql::parser::DFParserBuilder;
use datafusion_sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::ast::{self, Visit};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Longest SQL text, in bytes.
pub(crate) const SQL_BYTES_MAX: usize = 16_384;
/// Most tokens, white space aside.
pub(crate) const TOKENS_MAX: usize = 1_024;
/// Deepest parentheses and calls the parser goes into.
const NESTING_MAX: usize = 40;
/// Deepest tree; a chain of operators is as deep as it is long. The planner and the evaluation
/// walk the tree by recursion, on a stack that must not end.
pub(crate) const DEPTH_MAX: usize = 64;

/// What is needed to evaluate.
pub(crate) struct Compiled {
    /// Computes the result from a batch of exactly `columns`.
    pub(crate) physical: Arc<dyn PhysicalExpr>,
    /// The columns the expression reads, in the order of the schema compiled against.
    pub(crate) columns: SchemaRef,
    /// Type of the result.
    pub(crate) data_type: DataType,
}

/// Compiles `sql` against `schema`.
pub(crate) fn compile(name: &str, sql: &str, schema: &Schema) -> Result<Compiled, Error> {
    let source = Source { name, sql };
    let parsed = source.parse()?;
    source.check(&parsed)?;
    let all = nullable(schema.fields().iter().map(|f| f.as_ref()));
    let all = DFSchema::try_from(all).map_err(|e| source.refused(&e))?;
    let options = ParserOptions::new().with_enable_ident_normalization(false).with_map_string_types_to_utf8view(false);
    let provider = Provider::new();
    let planned = SqlToRel::new_with_options(&provider, options)
        .sql_to_expr(parsed, &all, &mut PlannerContext::new())
        .map_err(|e| source.refused(&e))?;
    let folded = fold(planned, &all).map_err(|e| source.refused(&e))?;
    lower(&folded, schema).map_err(|e| source.refused(&e))
}

/// Coerces types, makes the expression total where that is cheap, and folds constants.
///
/// A cast that fails and an integer division by zero give null, as every row that cannot be
/// computed does (see `Expression::evaluate`); written into the expression, they cost nothing.
fn fold(planned: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
    let simplifier = ExprSimplifier::new(context);
    let lenient = planned
        .transform(|e| match e {
            Expr::Cast(Cast { expr, field }) => Ok(Transformed::yes(Expr::TryCast(TryCast { expr, field }))),
            other => Ok(Transformed::no(other)),
        })?
        .data;
    let coerced = simplifier.coerce(lenient, schema)?;
    let total = coerced.transform(|e| guard_division(e, schema))?.data;
    let simple = simplifier.simplify(total)?;
    match simple.get_type(schema)? {
        DataType::Utf8View | DataType::LargeUtf8 => simple.cast_to(&DataType::Utf8, schema),
        _ => Ok(simple),
    }
}

/// `a / b` and `a % b` over integers or decimals become `a / nullif(b, 0)`.
fn guard_division(e: Expr, schema: &DFSchema) -> Result<Transformed<Expr>, DataFusionError> {
    let Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Divide | Operator::Modulo), right }) = e else {
        return Ok(Transformed::no(e));
    };
    let divisor = right.get_type(schema)?;
    if !(divisor.is_integer() || divisor.is_decimal()) {
        return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
    }
    let zero = Expr::Literal(ScalarValue::new_zero(&divisor)?, None);
    let call = ScalarFunction::new_udf(datafusion_functions::core::nullif(), vec![*right, zero]);
    let right = Box::new(Expr::ScalarFunction(call));
    Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })))
}

/// Binds the expression to the columns it reads, and only those.
fn lower(folded: &Expr, schema: &Schema) -> Result<Compiled, DataFusionError> {
    let read = folded.column_refs();
    let fields = schema.fields().iter().map(|f| f.as_ref()).filter(|f| read.iter().any(|c| c.name == *f.name()));
    let columns = nullable(fields);
    let bound = DFSchema::try_from(columns.clone())?;
    let context = PhysicalPlanningContext::default();
    let physical = create_physical_expr(folded, &bound, &ExecutionProps::new(), &context)?;
    let data_type = physical.data_type(&columns)?;
    Ok(Compiled { physical, columns: Arc::new(columns), data_type })
}

/// The fields as nullable ones without metadata: a batch may lack any value.
fn nullable<'a>(fields: impl Iterator<Item = &'a Field>) -> Schema {
    Schema::new(fields.map(|f| Field::new(f.name(), f.data_type().clone(), true)).collect::<Vec<_>>())
}

/// Name and text, for messages.
struct Source<'a> {
    name: &'a str,
    sql: &'a str,
}

impl Source<'_> {
    fn parse(&self) -> Result<ast::Expr, Error> {
        self.bounded("bytes", self.sql.len(), SQL_BYTES_MAX)?;
        let dialect = GenericDialect {};
        let tokens = Tokenizer::new(&dialect, self.sql)
            .tokenize_with_location()
            .map_err(|e| self.syntax(&format!("{} at {}", e.message, e.location)))?;
        let count = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).count();
        self.bounded("tokens", count, TOKENS_MAX)?;
        let parsed = DFParserBuilder::new(tokens)
            .with_dialect(&dialect)
            .with_recursion_limit(NESTING_MAX)
            .build()
            .and_then(|mut parser| parser.parse_into_expr())
            .map_err(|e| self.syntax(&detail(&e)))?;
        match parsed.alias {
            Some(_) => Err(self.not_scalar("an alias")),
            None => Ok(parsed.expr),
        }
    }

    fn bounded(&self, unit: &'static str, found: usize, limit: usize) -> Result<(), Error> {
        let name = self.name.to_owned();
        if found > limit { Err(Error::TooLong { name, unit, found, limit }) } else { Ok(()) }
    }

    /// Refuses, before planning, what the planner would refuse with less clear words.
    fn check(&self, parsed: &ast::Expr) -> Result<(), Error> {
        match parsed.visit(&mut Checker { source: self, depth: 0 }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(*error),
        }
    }

    fn check_one(&self, e: &ast::Expr) -> Result<(), Error> {
        match e {
            ast::Expr::Subquery(_) | ast::Expr::InSubquery { .. } | ast::Expr::Exists { .. } => {
                Err(self.not_scalar("a subquery"))
            }
            ast::Expr::Function(call) => {
                let function = call.name.to_string();
                if let Some(reason) = refusal(&function) {
                    let (name, sql) = (self.name.to_owned(), self.sql.to_owned());
                    return Err(Error::Function { name, sql, function, reason });
                }
                if call.over.is_some() { Err(self.not_scalar("a window")) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    fn syntax(&self, detail: &str) -> Error {
        Error::Syntax { name: self.name.to_owned(), sql: self.sql.to_owned(), detail: detail.to_owned() }
    }

    fn not_scalar(&self, what: &'static str) -> Error {
        Error::NotScalar { name: self.name.to_owned(), sql: self.sql.to_owned(), what }
    }

    /// An error of the planner, in our words.
    fn refused(&self, error: &DataFusionError) -> Error {
        let (name, sql) = (self.name.to_owned(), self.sql.to_owned());
        if let DataFusionError::SchemaError(inner, _) = error.find_root()
            && let SchemaError::FieldNotFound { field, valid_fields } = inner.as_ref()
        {
            let column = field.flat_name();
            let names = valid_fields.iter().map(|c| c.name.as_str());
            let hint = crate::suggest::hint(&field.name, names);
            return Error::UnknownColumn { name, sql, column, hint };
        }
        Error::Compile { name, sql, detail: detail(error) }
    }
}

/// Walks the parsed text before the planner does.
struct Checker<'a> {
    source: &'a Source<'a>,
    depth: usize,
}

impl ast::Visitor for Checker<'_> {
    type Break = Box<Error>;

    fn pre_visit_expr(&mut self, e: &ast::Expr) -> ControlFlow<Box<Error>> {
        self.depth += 1;
        match self.source.bounded("levels", self.depth, DEPTH_MAX).and_then(|()| self.source.check_one(e)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }

    fn post_visit_expr(&mut self, _e: &ast::Expr) -> ControlFlow<Box<Error>> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

/// First line of what the engine says, without its prefix and full stop.
fn detail(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    let line = text.lines().next().unwrap_or_default();
    let line = ["Error during planning: ", "SQL error: ", "This feature is not implemented: "]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))
        .unwrap_or(line);
    line.trim_end_matches('.').to_owned()
}
