//! Which functions an expression may call: the built-in scalar functions of DataFusion whose
//! result depends on their arguments alone.

use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, TableReference, plan_err};
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, Volatility, WindowUDF};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Left out although they are immutable: the length of the result of the first three is whatever
/// number the row holds, and the last tells the version of the engine.
const LEFT_OUT: [&str; 4] = ["repeat", "lpad", "rpad", "version"];

/// Names of SQL's common aggregate and window functions, for a clear refusal.
const OVER_MANY_ROWS: [&str; 40] = [
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "cume_dist",
    "dense_rank",
    "first_value",
    "grouping",
    "lag",
    "last_value",
    "lead",
    "max",
    "mean",
    "median",
    "min",
    "mode",
    "nth_value",
    "ntile",
    "percent_rank",
    "percentile_cont",
    "rank",
    "regr_slope",
    "row_number",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
];

/// Every function that may be called, by name and alias.
static ALLOWED: LazyLock<BTreeMap<String, Arc<ScalarUDF>>> = LazyLock::new(|| {
    let mut allowed = BTreeMap::new();
    for function in datafusion_functions::all_default_functions() {
        if function.signature().volatility != Volatility::Immutable || LEFT_OUT.contains(&function.name()) {
            continue;
        }
        for alias in function.aliases() {
            allowed.insert(alias.clone(), Arc::clone(&function));
        }
        allowed.insert(function.name().to_owned(), function);
    }
    allowed
});

/// Why a function may not be called; `None` if it may.
pub(crate) fn refusal(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    if ALLOWED.contains_key(&name) {
        return None;
    }
    if OVER_MANY_ROWS.contains(&name.as_str()) {
        return Some("reads many rows, expected a function of one row".to_owned());
    }
    let known = datafusion_functions::all_default_functions();
    if let Some(function) = known.iter().find(|f| f.name() == name || f.aliases().contains(&name)) {
        let reason = match function.signature().volatility {
            Volatility::Immutable => "is not allowed, its result is not bounded by its arguments",
            Volatility::Stable | Volatility::Volatile => {
                "is not allowed, its result does not depend on the row alone; derive it from a column instead"
            }
        };
        return Some(reason.to_owned());
    }
    Some(match crate::nearest(&name, ALLOWED.keys().map(String::as_str)) {
        Some(near) => format!("is unknown; did you mean `{near}`?"),
        None => "is unknown".to_owned(),
    })
}

/// What the SQL planner may know: the allowed functions, and nothing else.
pub(crate) struct Provider {
    options: ConfigOptions,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

impl Provider {
    pub(crate) fn new() -> Self {
        Self {
            options: ConfigOptions::default(),
            planners: vec![
                Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
                Arc::new(datafusion_functions::datetime::planner::DatetimeFunctionPlanner),
                Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
            ],
        }
    }
}

impl ContextProvider for Provider {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        plan_err!("no table `{name}`, expected columns of the row only")
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        ALLOWED.get(name).map(Arc::clone)
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _name: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        ALLOWED.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}
