//! Keeps the committed Rust in `src/gen` and the pages `api.md` and `errors.md` equal to what the `.proto` files make.
//!
//! Owns how the contract is generated: there is no build script and no protoc. May not change anything unless
//! `UPDATE_GENERATED=1` says so.
#![allow(clippy::unwrap_used)]

mod api_page;
mod reasons;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;
use prost_types::FileDescriptorSet;

const HOW: &str = "run `UPDATE_GENERATED=1 cargo test -p paygate-proto --test generated` and commit proto/src/gen, proto/api.md and proto/errors.md";

#[test]
fn generated_code_is_what_the_proto_files_make() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/gen");
    let fresh = tempfile::tempdir().unwrap();
    let descriptors = compile(root);
    generate(&descriptors, fresh.path());
    let table = reasons::table(&descriptors);
    fs::write(fresh.path().join("reasons.rs"), reasons::rust(&table)).unwrap();
    let pages = [
        ("api.md", api_page::page(&descriptors)),
        ("errors.md", reasons::page(&table)),
    ];

    let names: BTreeSet<_> = file_names(&committed)
        .union(&file_names(fresh.path()))
        .cloned()
        .collect();
    let stale: Vec<_> = names
        .into_iter()
        .filter(|name| {
            fs::read(committed.join(name)).ok() != fs::read(fresh.path().join(name)).ok()
        })
        .collect();
    let stale_pages: Vec<_> = pages
        .iter()
        .filter(|(name, text)| fs::read_to_string(root.join(name)).ok().as_ref() != Some(text))
        .collect();
    if stale.is_empty() && stale_pages.is_empty() {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1"),
        "generated files differ from the .proto files (src/gen: {stale:?}, pages: {:?}): {HOW}",
        stale_pages.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    for name in stale {
        match fs::read(fresh.path().join(&name)) {
            Ok(text) => fs::write(committed.join(&name), text).unwrap(),
            Err(_) => fs::remove_file(committed.join(&name)).unwrap(),
        }
    }
    for (name, text) in stale_pages {
        fs::write(root.join(name), text).unwrap();
    }
}

fn compile(root: &Path) -> FileDescriptorSet {
    let mut files = Vec::new();
    proto_files(&root.join("paygate"), &mut files);
    files.sort();

    let mut compiler = protox::Compiler::new([root]).unwrap();
    compiler.include_source_info(true).include_imports(true);
    if let Err(err) = compiler.open_files(&files) {
        panic!("the .proto files do not compile: {err:?}");
    }
    compiler.file_descriptor_set()
}

fn generate(descriptors: &FileDescriptorSet, out: &Path) {
    let mut descriptors = descriptors.clone();
    tonic_prost_build::configure()
        .out_dir(out)
        // Ordered maps, so that equal messages have equal bytes and equal text.
        .btree_map(".")
        .compile_fds(descriptors.clone())
        .unwrap();

    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    fs::write(out.join("descriptor.bin"), descriptors.encode_to_vec()).unwrap();
}

fn proto_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            proto_files(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            files.push(path);
        }
    }
}

fn file_names(folder: &Path) -> BTreeSet<std::ffi::OsString> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect()
}
