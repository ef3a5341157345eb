//! `.proto` sources and descriptor sets -> a descriptor pool.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};

use crate::error::SchemaError;
use crate::limits::Limits;

/// The files of the well-known types. Every schema has them, so that an `Any` of one can be opened.
const WELL_KNOWN: [&str; 7] = [
    "google/protobuf/any.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/wrappers.proto",
];

/// `google/api/annotations.proto` and what it imports, for sources that come without them.
struct HttpAnnotations;

impl FileResolver for HttpAnnotations {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let source = match name {
            "google/api/annotations.proto" => include_str!("google/api/annotations.proto"),
            "google/api/http.proto" => include_str!("google/api/http.proto"),
            _ => return Err(protox::Error::file_not_found(name)),
        };
        File::from_source(name, source)
    }
}

/// Compiles every `.proto` file below the directories.
pub(crate) fn sources(dirs: &[PathBuf], limits: &Limits) -> Result<DescriptorPool, SchemaError> {
    let mut files = Vec::new();
    for dir in dirs {
        collect(dir, limits.directory_depth, limits, &mut files)?;
    }
    if files.is_empty() {
        let dirs: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        return Err(SchemaError::Empty {
            dirs: dirs.join(", "),
        });
    }
    let mut resolver = ChainFileResolver::new();
    for dir in dirs {
        resolver.add(IncludeFileResolver::new(dir.clone()));
    }
    resolver.add(HttpAnnotations);
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    for file in &files {
        compiler
            .open_file(file)
            .map_err(|error| placed(&error, dirs))?;
    }
    for name in WELL_KNOWN {
        compiler
            .open_file(name)
            .map_err(|error| placed(&error, dirs))?;
    }
    Ok(compiler.descriptor_pool())
}

/// Adds the `.proto` files below `dir`, in the order of their names.
fn collect(
    dir: &Path,
    depth: usize,
    limits: &Limits,
    files: &mut Vec<PathBuf>,
) -> Result<(), SchemaError> {
    let unreadable = |error: std::io::Error| SchemaError::Directory {
        path: dir.to_owned(),
        cause: error.to_string(),
    };
    let mut entries = fs::read_dir(dir)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Links are followed, so that a vendored tree may be one; `depth` ends a cycle of them.
        let about = fs::metadata(&path).map_err(unreadable)?;
        if about.is_dir() {
            let Some(depth) = depth.checked_sub(1) else {
                return Err(SchemaError::Limit {
                    what: "directory levels",
                    limit: limits.directory_depth,
                });
            };
            collect(&path, depth, limits, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            // A pipe or a device would be read without an end.
            if !about.is_file() {
                continue;
            }
            if about.len() > limits.proto_file_bytes {
                return Err(SchemaError::Limit {
                    what: "bytes in one .proto file",
                    limit: limits.proto_file_bytes as usize,
                });
            }
            if files.len() == limits.proto_files {
                return Err(SchemaError::Limit {
                    what: ".proto files",
                    limit: limits.proto_files,
                });
            }
            files.push(path);
        }
    }
    Ok(())
}

/// The place out of the compiler's error, which only its debug form spells out: `FILE:LINE:COLUMN: CAUSE`.
fn placed(error: &protox::Error, dirs: &[PathBuf]) -> SchemaError {
    let text = format!("{error:?}");
    let file = error.file().unwrap_or_default();
    let rest = text
        .strip_prefix(file)
        .and_then(|rest| rest.strip_prefix(':'))
        .unwrap_or(&text);
    let mut parts = rest.splitn(3, ':');
    let line = parts.next().and_then(|line| line.trim().parse().ok());
    let column = parts.next().and_then(|column| column.trim().parse().ok());
    if let Some((line, column)) = unplaced(file, rest, dirs) {
        return SchemaError::Source {
            file: file.to_owned(),
            line,
            column,
            cause: rest.trim().to_owned(),
        };
    }
    match (line, column, parts.next()) {
        (Some(line), Some(column), Some(cause)) if !file.is_empty() => SchemaError::Source {
            file: file.to_owned(),
            line,
            column,
            cause: cause.trim().to_owned(),
        },
        _ => SchemaError::File {
            file: if file.is_empty() {
                "the schema".to_owned()
            } else {
                file.to_owned()
            },
            cause: rest.trim().to_owned(),
        },
    }
}

/// Line and column of the two faults the compiler gives without them: a file that ends too early and
/// one that is not UTF-8.
fn unplaced(file: &str, cause: &str, dirs: &[PathBuf]) -> Option<(usize, usize)> {
    let early = cause.ends_with("reached end of file");
    if file.is_empty() || !early && !cause.ends_with("is not valid utf-8") {
        return None;
    }
    let bytes = dirs.iter().find_map(|dir| fs::read(dir.join(file)).ok())?;
    let before = match std::str::from_utf8(&bytes) {
        Ok(text) => text.trim_end(),
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
    };
    let last = before.rsplit('\n').next().unwrap_or(before);
    let line = before.matches('\n').count() + 1;
    Some((line, last.chars().count() + 1))
}

/// Reads an encoded `FileDescriptorSet`, adding what it imports from `google/protobuf`.
pub(crate) fn descriptor_set(bytes: &[u8], limits: &Limits) -> Result<DescriptorPool, SchemaError> {
    let unusable = |cause: String| SchemaError::Descriptor { cause };
    if bytes.len() > limits.descriptor_bytes {
        return Err(SchemaError::Limit {
            what: "bytes of descriptors",
            limit: limits.descriptor_bytes,
        });
    }
    let set = FileDescriptorSet::decode(bytes).map_err(|error| unusable(error.to_string()))?;
    let mut files: Vec<FileDescriptorProto> = Vec::new();
    let mut wanted: Vec<String> = WELL_KNOWN.into_iter().map(str::to_owned).collect();
    wanted.extend(
        set.file
            .iter()
            .flat_map(|file| file.dependency.iter().cloned()),
    );
    while let Some(name) = wanted.pop() {
        if set
            .file
            .iter()
            .chain(&files)
            .any(|file| file.name() == name)
        {
            continue;
        }
        let file = HttpAnnotations.open_file(&name);
        let Ok(file) = file.or_else(|_| GoogleFileResolver::new().open_file(&name)) else {
            return Err(unusable(format!("the imported file {name} is not in it")));
        };
        wanted.extend(file.file_descriptor_proto().dependency.iter().cloned());
        files.push(file.file_descriptor_proto().clone());
    }
    // Two sets in a row are one. The set itself goes in as it came, since decoding it as above loses
    // options that are extensions.
    let mut whole = FileDescriptorSet { file: files }.encode_to_vec();
    whole.extend_from_slice(bytes);
    let mut pool = DescriptorPool::new();
    pool.decode_file_descriptor_set(whole.as_slice())
        .map_err(|error| unusable(error.to_string()))?;
    Ok(pool)
}
