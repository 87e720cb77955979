//! What the pieces ask of the system, and of the parts of the workspace that are not checked.

/// All that happens, happens now.
pub(crate) fn now_ns() -> u64 {
    0
}

/// Records nothing: a lane belongs to its thread alone.
pub(crate) mod trace {
    use std::borrow::Cow;

    #[derive(Debug)]
    pub(crate) struct Lane;

    #[derive(Debug)]
    pub(crate) enum State {
        Blocked,
    }

    #[derive(Debug)]
    pub(crate) struct Recorder;

    impl Recorder {
        pub(crate) fn thread(_: &str) -> Self {
            Self
        }

        pub(crate) fn enter_with(&mut self, _: State, _: impl Into<Cow<'static, str>>) {}

        pub(crate) fn mark(&mut self, _: &'static str) {}

        pub(crate) fn end(self) -> Lane {
            Lane
        }
    }
}
