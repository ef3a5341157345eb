//! Which message types there are: what `run`, `decode`, `encode`, `call` and `tap` take alike.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use isukit_proto::{Message, Schema};

/// Where the message types come from.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct SchemaArgs {
    /// Folder of .proto files, an import root (may be repeated)
    #[arg(help_heading = "Message types", long = "proto", value_name = "DIR")]
    pub(super) protos: Vec<PathBuf>,
    /// Descriptor set as written by `protoc --include_imports --descriptor_set_out`
    #[arg(
        help_heading = "Message types",
        long,
        value_name = "FILE",
        conflicts_with = "protos"
    )]
    pub(super) descriptor_set: Option<PathBuf>,
}

impl SchemaArgs {
    /// The schema, if one was named.
    pub(super) fn load(&self) -> Result<Option<Schema>> {
        if let Some(path) = &self.descriptor_set {
            let bytes =
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let schema = Schema::from_descriptor_set(&bytes)
                .with_context(|| format!("{} is not usable", path.display()))?;
            return Ok(Some(schema));
        }
        if self.protos.is_empty() {
            return Ok(None);
        }
        Ok(Some(Schema::compile(&self.protos)?))
    }
}

/// The message type that `option` names, if it names one.
pub(super) fn message(
    schema: Option<&Schema>,
    name: Option<&str>,
    option: &str,
) -> Result<Option<Message>> {
    let Some(name) = name else { return Ok(None) };
    let Some(schema) = schema else {
        bail!("{option} {name} needs --proto DIR or --descriptor-set FILE");
    };
    Ok(Some(
        schema.message(name).with_context(|| option.to_owned())?,
    ))
}
