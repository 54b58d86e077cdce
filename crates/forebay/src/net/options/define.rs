//! The macro that makes everything about options from their table.

/// Makes of each row of `table.rs`:
///
/// - a field of `OptionValues`, with its default;
/// - an element of `ROWS`, with which `mod.rs` sets, reads back and prints options;
/// - a setter of the builder of each protocol that the row names (`builder_setters!`), and of `Socket`
///   (`socket_setters!`);
/// - a line of the documentation of these builders (`option_table!`).
///
/// The names of types are resolved where the macro is called, which is `table.rs`.
macro_rules! define_options {
    ($(
        $(#[$attribute:meta])*
        pub fn $name:ident($($argument:ident: $argument_type:ty)?) {
            value: $type:ty = $value:expr,
            default: $default:expr => $default_text:literal,
            sockets: [$($protocol:ident)+],
            on: [$first_role:ident $($role:ident)*],
            $(system: $system:literal {
                wanted: $wanted:expr,
                set: $set:expr,
                read: $read:expr,
            },)?
            $(silence: $silence:ident {
                $(#[$live_attribute:meta])*
                pub fn $live_setter:ident;
            },)?
        }
    )+) => {
        /// The values of all options. A socket is given those of its protocol.
        #[derive(Clone)]
        pub(in crate::net) struct OptionValues {
            $(pub(in crate::net) $name: $type,)+
        }

        impl Default for OptionValues {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl OptionValues {
            /// The limits on silence.
            pub(in crate::net) fn silences(&self) -> [(Silence, Option<Duration>); 3] {
                [$($((Silence::$silence, self.$name),)?)+]
            }
        }

        impl Silence {
            /// The name of the option that limits it.
            pub(in crate::net) fn option(self) -> &'static str {
                match self {
                    $($(Self::$silence => stringify!($name),)?)+
                }
            }
        }

        /// The options, sorted by name.
        pub(super) static ROWS: &[Row] = &[$(
            Row {
                name: stringify!($name),
                protocols: &[$(Protocol::$protocol),+],
                roles: &[SocketRole::$first_role $(, SocketRole::$role)*],
                value: |options| &options.$name,
                system: define_options!(@optional $(
                    SystemOption {
                        set: |socket, options, role| {
                            let wanted: fn(&$type, SocketRole) -> Option<_> = $wanted;
                            let set: fn(&SockRef<'_>, _) -> io::Result<()> = $set;
                            wanted(&options.$name, role).map_or(Ok(()), |value| set(socket, value))
                        },
                        holds: |socket, options, role| {
                            let wanted: fn(&$type, SocketRole) -> Option<_> = $wanted;
                            let read: fn(&SockRef<'_>) -> io::Result<_> = $read;
                            wanted(&options.$name, role)
                                .is_none_or(|value| read(socket).is_ok_and(|read| read == value))
                        },
                    }
                )?),
            },
        )+];

        /// The setters of the builder of a protocol, which has a field `options`. The scope of the call must
        /// know the types of the arguments.
        macro_rules! builder_setters {
            ($of:ident) => { $(
                $crate::net::options::if_among! { $of in [$($protocol)+] {
                    $(#[$attribute])*
                    pub fn $name(mut self $(, $argument: $argument_type)?) -> Self {
                        self.options.$name = $value;
                        self
                    }
                } else {} }
            )+ };
        }
        pub(in crate::net) use builder_setters;

        /// The setters of `Socket`.
        macro_rules! socket_setters {
            () => { $($(
                $(#[$live_attribute])*
                pub fn $live_setter(&self, timeout: impl Into<Option<Duration>>) {
                    let silence = $crate::net::options::Silence::$silence;
                    self.0.core().limit_silence(silence, timeout.into());
                }
            )?)+ };
        }
        pub(in crate::net) use socket_setters;

        /// The table of a protocol's options, for the documentation of its builder.
        macro_rules! option_table {
            ($of:ident) => {
                concat!(
                    "| option | default | on sockets that are | system's option |\n|---|---|---|---|\n",
                    $($crate::net::options::if_among! { $of in [$($protocol)+] {
                        concat!(
                            "| [`", stringify!($name), "`](Self::", stringify!($name), ") | ",
                            $default_text, " | ",
                            $crate::net::options::role_text!($first_role)
                            $(, ", ", $crate::net::options::role_text!($role))*,
                            " | ", $($system,)? " |\n",
                        )
                    } else { "" } },)+
                )
            };
        }
        pub(in crate::net) use option_table;
    };
    (@optional) => { None };
    (@optional $value:expr) => { Some($value) };
}
pub(super) use define_options;

/// Expands to the first block if a protocol is in a list, and to the second otherwise. A macro cannot compare
/// two words of its caller, so a new protocol needs a line here.
macro_rules! if_among {
    (Tcp in [Tcp $($rest:ident)*] { $($then:tt)* } else { $($otherwise:tt)* }) => { $($then)* };
    (Udp in [Udp $($rest:ident)*] { $($then:tt)* } else { $($otherwise:tt)* }) => { $($then)* };
    (UnixDatagram in [UnixDatagram $($rest:ident)*] { $($then:tt)* } else { $($otherwise:tt)* }) => { $($then)* };
    (Unix in [Unix $($rest:ident)*] { $($then:tt)* } else { $($otherwise:tt)* }) => { $($then)* };
    ($of:ident in [$other:ident $($rest:ident)*] $then:tt else $otherwise:tt) => {
        $crate::net::options::if_among! { $of in [$($rest)*] $then else $otherwise }
    };
    ($of:ident in [] { $($then:tt)* } else { $($otherwise:tt)* }) => { $($otherwise)* };
}
pub(in crate::net) use if_among;

/// A role, as documentation names it.
macro_rules! role_text {
    (Bound) => {
        "bound"
    };
    (Listening) => {
        "listening"
    };
    (Connected) => {
        "connected"
    };
    (Accepted) => {
        "accepted"
    };
}
pub(in crate::net) use role_text;
