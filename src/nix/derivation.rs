//! Derivations as they lie in the store: `Derive(…)`, in the `ATerm` format.
//!
//! Source: `derivations.cc` of Nix 2.8 and 2.34, and files of both. What is read is what concerns caches: outputs,
//! inputs, system. Promise: foreign bytes are refused with a place, never with a panic.

use super::store_path::{StoreDir, StorePath};

/// A derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation {
    /// Its outputs in the order of their names.
    pub outputs: Vec<Output>,
    /// The derivations that it needs, with the names of the outputs that it needs of each.
    pub inputs: Vec<(StorePath, Vec<String>)>,
    /// The sources that it needs.
    pub sources: Vec<StorePath>,
    /// The system that it is for, such as `x86_64-linux`.
    pub system: String,
}

/// An output of a derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name: `out`, `dev`, …
    pub name: String,
    /// Its path; none where that is known only after the build.
    pub path: Option<StorePath>,
    /// Whether what it is to be is fixed by a hash.
    pub fixed: bool,
}

/// Why a derivation could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read a derivation: {why} at byte {at}")]
pub struct DerivationError {
    /// Where in the text, in bytes.
    pub at: usize,
    /// What was expected or is odd.
    pub why: String,
}

impl Derivation {
    /// Reads the text of a `.drv` file of a store with this directory, up to the system; the rest is not looked at.
    ///
    /// # Errors
    /// It is no derivation, or of a newer kind (`DrvWithVersion`).
    pub fn parse(text: &str, dir: &StoreDir) -> Result<Self, DerivationError> {
        let mut reader = Reader { text, at: 0, dir };
        reader.expect("Derive(")?;
        let outputs = reader.list(|reader| {
            reader.expect("(")?;
            let name = reader.string()?;
            reader.expect(",")?;
            let path = reader.optional_path()?;
            reader.expect(",")?;
            reader.string()?;
            reader.expect(",")?;
            let fixed = !reader.string()?.is_empty();
            reader.expect(")")?;
            Ok(Output { name, path, fixed })
        })?;
        reader.expect(",")?;
        let inputs = reader.list(|reader| {
            reader.expect("(")?;
            let path = reader.path()?;
            reader.expect(",")?;
            let names = reader.list(Reader::string)?;
            reader.expect(")")?;
            Ok((path, names))
        })?;
        reader.expect(",")?;
        let sources = reader.list(Reader::path)?;
        reader.expect(",")?;
        let system = reader.string()?;
        reader.expect(",")?;
        Ok(Self {
            outputs,
            inputs,
            sources,
            system,
        })
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    dir: &'a StoreDir,
}

impl Reader<'_> {
    fn odd<T>(&self, why: impl Into<String>) -> Result<T, DerivationError> {
        let (at, why) = (self.at, why.into());
        Err(DerivationError { at, why })
    }

    fn expect(&mut self, what: &str) -> Result<(), DerivationError> {
        if !self.text[self.at..].starts_with(what) {
            return self.odd(format!("there is no `{what}`"));
        }
        self.at += what.len();
        Ok(())
    }

    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, DerivationError>,
    ) -> Result<Vec<T>, DerivationError> {
        self.expect("[")?;
        let mut items = Vec::new();
        if self.expect("]").is_ok() {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.expect("]").is_ok() {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }

    /// A quoted text; `\n`, `\r`, `\t` and any other character after `\` stand for what they say.
    fn string(&mut self) -> Result<String, DerivationError> {
        self.expect("\"")?;
        let mut out = String::new();
        let mut rest = self.text[self.at..].char_indices();
        while let Some((at, c)) = rest.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(out);
                }
                '\\' => match rest.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 'r')) => out.push('\r'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, c)) => out.push(c),
                    None => break,
                },
                c => out.push(c),
            }
        }
        self.odd("a text does not end")
    }

    fn path(&mut self) -> Result<StorePath, DerivationError> {
        match self.optional_path()? {
            Some(path) => Ok(path),
            None => self.odd("there is no path"),
        }
    }

    fn optional_path(&mut self) -> Result<Option<StorePath>, DerivationError> {
        let text = self.string()?;
        if text.is_empty() {
            return Ok(None);
        }
        match self.dir.parse(&text) {
            Ok(path) => Ok(Some(path)),
            Err(error) => self.odd(format!("`{text}`: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOP: &str = r#"Derive([("dev","/nix/store/0yr4mjk4fdvwv0l7xynz1yk58j53i8vb-m-dev","",""),("out","/nix/store/aq25fj3by7r3a44wijphjgnnzgwjzd8f-m","sha256","00")],[("/nix/store/50ihlz17wap2y32smp5dqgsfsmzv3m9v-a.drv",["dev","out"])],["/nix/store/lidf9451xpfnrx3xjhki38v4gbbgamhw-builder.sh"],"x86_64-linux","/bin/sh",["-c","echo \"a\\b\"\n"],[("name","m")])"#;

    #[test]
    fn a_derivation_says_what_it_makes_and_needs() {
        let dir = StoreDir::default();
        let read = Derivation::parse(TOP, &dir).unwrap();
        assert_eq!(read.system, "x86_64-linux");
        let outputs: Vec<_> = read
            .outputs
            .iter()
            .map(|it| (it.name.as_str(), it.fixed))
            .collect();
        assert_eq!(outputs, [("dev", false), ("out", true)]);
        assert_eq!(read.inputs.len(), 1);
        assert_eq!(
            read.inputs[0].0.to_string(),
            "50ihlz17wap2y32smp5dqgsfsmzv3m9v-a.drv"
        );
        assert_eq!(read.inputs[0].1, ["dev", "out"]);
        assert_eq!(read.sources.len(), 1);
        let floating = TOP.replace("/nix/store/0yr4mjk4fdvwv0l7xynz1yk58j53i8vb-m-dev", "");
        assert_eq!(
            Derivation::parse(&floating, &dir).unwrap().outputs[0].path,
            None
        );
    }

    #[test]
    fn a_newer_kind_is_refused_with_its_place() {
        let error =
            Derivation::parse("DrvWithVersion(\"xp-dyn-drv\",[", &StoreDir::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "read a derivation: there is no `Derive(` at byte 0"
        );
    }

    proptest! {
        #[test]
        fn cut_or_damaged_texts_never_panic(cut in 0usize..600, junk in "\\PC{0,8}") {
            let cut = cut.min(TOP.len());
            let text = format!("{}{junk}{}", &TOP[..cut], &TOP[cut..]);
            let _ = Derivation::parse(&text, &StoreDir::default());
            let cut_short = Derivation::parse(&TOP[..cut], &StoreDir::default());
            prop_assert!(cut_short.is_err() || cut > TOP.find("\"x86").unwrap());
        }
    }
}
