//! Makes `proto/api.md`, the contract on one page, out of the `.proto` files' comments.

use std::collections::HashMap;
use std::fmt::Write as _;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// Paths in a FileDescriptorProto, as `descriptor.proto` numbers them.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
const MEMBERS: i32 = 2;

/// The page, from descriptors with source info.
pub(crate) fn page(descriptors: &FileDescriptorSet) -> String {
    let mut page = String::from(
        "# The contract, on one page\n\nGenerated from the `.proto` files, which are the contract; `README.md` says how. \
         Begin with the services.\n",
    );
    // What callers use comes first.
    for package in ["paygate.v1", "paygate.signer.v1"] {
        for file in &descriptors.file {
            if file.package() == package {
                file_section(&mut page, file);
            }
        }
    }
    page
}

fn file_section(page: &mut String, file: &FileDescriptorProto) {
    let comments = Comments::of(file);
    let _ = write!(
        page,
        "\n## {}\n\nPackage `{}`.\n",
        file.name(),
        file.package()
    );
    for (at, service) in (0..).zip(&file.service) {
        let _ = write!(
            page,
            "\n### service {}\n\n{}\n",
            service.name(),
            comments.text(&[SERVICES, at])
        );
        for (method_at, method) in (0..).zip(&service.method) {
            let stream = if method.server_streaming() {
                "stream "
            } else {
                ""
            };
            let _ = write!(
                page,
                "\n- **{}**({}) returns ({stream}{}): {}\n",
                method.name(),
                short(method.input_type()),
                short(method.output_type()),
                comments.line(&[SERVICES, at, MEMBERS, method_at]),
            );
        }
    }
    for (at, message) in (0..).zip(&file.message_type) {
        let _ = write!(
            page,
            "\n### {}\n\n{}\n",
            message.name(),
            comments.text(&[MESSAGES, at])
        );
        if !message.field.is_empty() {
            page.push_str("\n| field | type | |\n|---|---|---|\n");
        }
        for (field_at, field) in (0..).zip(&message.field) {
            let _ = writeln!(
                page,
                "| `{}` = {} | {} | {} |",
                field.name(),
                field.number(),
                field_type(message, field),
                comments.cell(&[MESSAGES, at, MEMBERS, field_at]),
            );
        }
    }
    for (at, list) in (0..).zip(&file.enum_type) {
        let _ = write!(
            page,
            "\n### enum {}\n\n{}\n\n| value | |\n|---|---|\n",
            list.name(),
            comments.text(&[ENUMS, at])
        );
        for (value_at, value) in (0..).zip(&list.value) {
            let text = comments.cell(&[ENUMS, at, MEMBERS, value_at]);
            let _ = writeln!(page, "| `{}` = {} | {text} |", value.name(), value.number());
        }
    }
}

fn field_type(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let name = match field.r#type() {
        Type::Message | Type::Enum => short(field.type_name()),
        scalar => scalar
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
    };
    let map_entry = message.nested_type.iter().any(|nested| {
        nested.name() == name && nested.options.as_ref().is_some_and(|o| o.map_entry())
    });
    if map_entry {
        return "map".to_owned();
    }
    match (field.label(), field.proto3_optional(), field.oneof_index) {
        (Label::Repeated, _, _) => format!("repeated {name}"),
        (_, true, _) => format!("optional {name}"),
        (_, false, Some(at)) => {
            let oneof = message.oneof_decl[usize::try_from(at).unwrap()].name();
            format!("{name}, one of `{oneof}`")
        }
        (_, false, None) => name,
    }
}

fn short(type_name: &str) -> String {
    type_name.rsplit('.').next().unwrap_or(type_name).to_owned()
}

struct Comments<'a>(HashMap<&'a [i32], &'a str>);

impl<'a> Comments<'a> {
    fn of(file: &'a FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        Self(
            locations
                .map(|location| (location.path.as_slice(), location.leading_comments()))
                .collect(),
        )
    }

    fn text(&self, path: &[i32]) -> String {
        let lines = self.0.get(path).copied().unwrap_or_default().lines();
        lines
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("\n")
            .trim()
            .to_owned()
    }

    fn line(&self, path: &[i32]) -> String {
        self.text(path)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn cell(&self, path: &[i32]) -> String {
        self.line(path).replace('|', "\\|")
    }
}
