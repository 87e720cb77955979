//! Writes the variants of each piece: the source as it is, and with each of its mistakes.

use std::path::Path;
use std::{env, fs};

/// One piece: a source file of the workspace, and what is done to it.
struct Piece {
    name: &'static str,
    file: &'static str,
    /// What of the file is taken: from the first text to the second, or from its start, or to its
    /// tests.
    from: Option<&'static str>,
    to: Option<&'static str>,
    /// What stands for the standard library and the kernel: each text is there, and is replaced
    /// wherever it is.
    swaps: &'static [(&'static str, &'static str)],
    mistakes: &'static [Mistake],
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
        let path = folder.join("..").join(piece.file);
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", piece.file));
        let source = piece.source(&text);
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
                assert!(count == 1, "{}: {count} times instead of once: {right}", piece.file);
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

impl Piece {
    fn source(&self, text: &str) -> String {
        let place = |wanted: &str| text.find(wanted).unwrap_or_else(|| panic!("{}: no {wanted}", self.file));
        let from = self.from.map_or(0, place);
        let to =
            self.to.or(text.contains("#[cfg(test)]").then_some("#[cfg(test)]")).map_or(text.len(), place);
        // What is about the whole file cannot stand in a module that has more.
        let lines =
            text[from..to].lines().filter(|line| !line.starts_with("//!") && !line.starts_with("#!["));
        let source = lines.map(|line| format!("{line}\n")).collect::<String>();
        self.swaps.iter().fold(source, |source, (real, model)| {
            assert!(source.contains(real), "{}: no {real}", self.file);
            source.replace(real, model)
        })
    }
}
