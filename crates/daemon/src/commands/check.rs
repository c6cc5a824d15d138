//! `vigie check`: is a configuration sound?

use crate::cli::ConfigOnly;
use crate::formats;

/// Checks a configuration, its SQL expressions and its recipe, without a network.
pub(crate) fn run(args: &ConfigOnly) -> anyhow::Result<()> {
    let config = super::configuration(&args.config)?;
    let schema = formats::schema(&config).arrow();
    for derive in &config.features.derive {
        expressions::Expression::compile(&derive.name, &derive.sql, &schema)?;
    }
    codec::EventDecoder::new(formats::events(&config))?;
    formats::labels(&config).map(codec::LabelDecoder::new).transpose()?;
    #[allow(clippy::print_stdout)]
    {
        println!("{}: sound", args.config.display());
    }
    Ok(())
}
