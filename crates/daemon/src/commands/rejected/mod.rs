//! `vigie rejected`: list, show, replay. Read [`log`] first, then the three commands.

mod list;
pub(super) mod log;
mod replay;
mod select;
mod show;
mod text;

use crate::cli::{Rejected, RejectedAction};
use crate::config::Config;
use crate::topics;
use kafka::Topics;
use log::Log;
use select::{Filter, Place, Selection};

/// Does what was asked.
pub(crate) fn run(args: &Rejected) -> anyhow::Result<()> {
    match &args.action {
        RejectedAction::List { config, filters, limit, json } => {
            let filter = Filter::new(filters)?;
            let config = super::configuration(&config.config)?;
            list::run(&Log::open(&config, &connect(&config)?)?, &filter, *limit, *json)
        }
        RejectedAction::Show { config, place, raw } => {
            let place = Place::parse(place)?;
            let config = super::configuration(&config.config)?;
            show::run(&Log::open(&config, &connect(&config)?)?, place, *raw)
        }
        RejectedAction::Replay { config, filters, places, dry_run, again } => {
            let selection = Selection::new(filters, places)?;
            let config = super::configuration(&config.config)?;
            let topics = connect(&config)?;
            let log = Log::open(&config, &topics)?;
            replay::run(&config, &topics, &log, &replay::Order { selection, dry_run: *dry_run, again: *again })
        }
    }
}

fn connect(config: &Config) -> anyhow::Result<Topics> {
    Ok(Topics::connect(&topics::connection(config), topics::CONNECT)?)
}
