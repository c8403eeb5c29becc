//! Roles of those who administer: what a token or a sign-in at the console opens. The roles of developers in the portal
//! are others; see `role`.

/// What somebody may do. Each role may do everything the one before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AccessRole {
    /// Sees everything but readable secrets.
    Viewer,
    /// Decides about developers and connections.
    Approver,
    /// Everything.
    Admin,
}

impl AccessRole {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Approver, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}
