//! The language of what is shown to people. Machines read English: options, names of variants,
//! JSON and CSV are the same in every language.

use std::env;
use std::fmt;

use clap::ValueEnum;
use serde::{Serialize, Serializer};

/// A language that the lab speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English
    En,
    /// Chinese
    Zh,
}

impl Lang {
    /// That of the environment: Chinese if the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is
    /// not empty begins with `zh` (locale(7)), otherwise English.
    pub fn of_environment() -> Self {
        Self::of(|name| env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable);
        match set.find(|value| !value.is_empty()) {
            Some(locale) if locale.starts_with("zh") => Self::Zh,
            _ => Self::En,
        }
    }
}

/// As in the `lang` of HTML.
impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::En => "en",
            Self::Zh => "zh",
        })
    }
}

/// The same in each language. As JSON it is the English one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Both<T> {
    /// English.
    pub en: T,
    /// Chinese.
    pub zh: T,
}

impl<T> Both<T> {
    /// What `say` says in each.
    pub fn each(say: impl Fn(Lang) -> T) -> Self {
        Self { en: say(Lang::En), zh: say(Lang::Zh) }
    }

    /// The one in this language.
    pub fn get(&self, lang: Lang) -> &T {
        match lang {
            Lang::En => &self.en,
            Lang::Zh => &self.zh,
        }
    }
}

impl<T: Serialize> Serialize for Both<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.en.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_says_something_decides() {
        let of = |all: &str, messages: &str, lang: &str| {
            Lang::of(|name| {
                let value = match name {
                    "LC_ALL" => all,
                    "LC_MESSAGES" => messages,
                    _ => lang,
                };
                (value != "unset").then(|| value.to_owned())
            })
        };
        assert_eq!(of("unset", "unset", "unset"), Lang::En);
        assert_eq!(of("unset", "unset", "zh_CN.UTF-8"), Lang::Zh);
        assert_eq!(of("unset", "en_US.UTF-8", "zh_CN.UTF-8"), Lang::En);
        assert_eq!(of("", "zh_TW", "de_DE"), Lang::Zh);
        assert_eq!(of("C", "zh_CN", "zh_CN"), Lang::En);
    }
}
