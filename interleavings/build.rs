//! Writes the variants of each piece: the source as it is, and with each of its mistakes.

use std::path::Path;
use std::{env, fs};

/// What is checked together, and what is done to it.
struct Piece {
    name: &'static str,
    parts: &'static [Part],
    /// What stands for the standard library and the kernel: each text is there, and is replaced
    /// wherever it is.
    swaps: &'static [(&'static str, &'static str)],
    mistakes: &'static [Mistake],
}

/// What is taken of a source file of the workspace: from the first text to the second, or from its
/// start, or to its tests.
struct Part {
    file: &'static str,
    from: Option<&'static str>,
    to: Option<&'static str>,
}

/// A change of a source that its check must find.
struct Mistake {
    /// A sentence, as the name of the test.
    name: &'static str,
    /// Texts that are there once, and what stands there instead.
    edits: &'static [(&'static str, &'static str)],
    /// What the check says then.
    found: &'static str,
}

include!("pieces.rs");

fn main() {
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo names this folder");
    let folder = Path::new(&folder);
    let mut modules = String::new();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=pieces.rs");
    for piece in PIECES {
        let parts = piece.parts.iter().map(|part| part.text(folder)).collect::<String>();
        let source = piece.swaps.iter().fold(parts, |source, (real, model)| {
            assert!(source.contains(real), "{}: no {real}", piece.name);
            source.replace(real, model)
        });
        let check = folder.join("src/checks").join(piece.name).with_extension("rs");
        let variant = |name: &str, source: &str, test: &str| {
            format!(
                "#[allow(warnings, unsafe_code, clippy::all)]\npub(crate) mod {name} {{\n{source}\n#[path = {check:?}]\nmod check;\n\
                 #[test]\nfn {test}\n}}\n"
            )
        };
        modules += &format!("pub(crate) mod {} {{\n", piece.name);
        modules += &variant("as_it_is", &source, "holds_in_every_order() { crate::holds(check::check); }");
        for mistake in piece.mistakes {
            let wrong = mistake.edits.iter().fold(source.clone(), |source, (right, wrong)| {
                let count = source.matches(right).count();
                assert!(count == 1, "{}: {count} times instead of once: {right}", piece.name);
                source.replace(right, wrong)
            });
            let name = format!("{}::{}::is_found", piece.name, mistake.name);
            let test =
                format!("is_found() {{ crate::is_found({name:?}, check::check, {:?}); }}", mistake.found);
            modules += &variant(mistake.name, &wrong, &test);
        }
        modules += "}\n";
    }
    let out = env::var("OUT_DIR").expect("cargo names a folder for it");
    fs::write(Path::new(&out).join("pieces.rs"), modules).expect("the folder can be written to");
}

impl Part {
    const fn whole(file: &'static str) -> Self {
        Self { file, from: None, to: None }
    }

    fn text(&self, folder: &Path) -> String {
        let path = folder.join("..").join(self.file);
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", self.file));
        let place = |wanted: &str| text.find(wanted).unwrap_or_else(|| panic!("{}: no {wanted}", self.file));
        let from = self.from.map_or(0, place);
        let to =
            self.to.or(text.contains("#[cfg(test)]").then_some("#[cfg(test)]")).map_or(text.len(), place);
        // What is about the whole file cannot stand in a module that has more.
        let lines =
            text[from..to].lines().filter(|line| !line.starts_with("//!") && !line.starts_with("#!["));
        lines.map(|line| format!("{line}\n")).collect()
    }
}
