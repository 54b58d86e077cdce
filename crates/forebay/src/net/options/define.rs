//! The macro that makes everything about options from their table.

/// Makes of each row of `table.rs`:
///
/// - a field of `OptionValues`, with its default;
/// - an element of `ROWS`, with which `mod.rs` sets, reads back and prints options;
/// - a setter of the builder of each protocol that the row names (`builder_setters!`), and of `Socket`
///   (`socket_setters!`);
/// - a field of `SocketOptions`, and the method that returns it;
/// - a line of the documentation of these builders (`option_table!`), and of that of `SocketOptions`
///   (`full_option_table!`).
///
/// The names of types are resolved where the macro is called, which is `table.rs`.
macro_rules! define_options {
    ($(
        $(#[$attribute:meta])*
        pub fn $name:ident($($argument:ident: $argument_type:ty)?) {
            value: $type:ty = $value:expr,
            default: $default:expr => $default_text:literal,
            sockets: [$first_protocol:ident $($protocol:ident)*],
            on: [$first_role:ident $($role:ident)*],
            $(told: $kept_type:ty = $kept:expr,)?
            $(system: $system:literal {
                $(systems: $systems:literal,)?
                wanted: $wanted:expr,
                set: $set:expr,
                read: $read:expr,
                told: $read_type:ty = $tell:expr,
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

        /// The table of all options, for documentation.
        macro_rules! full_option_table {
            () => {
                concat!(
                    "| option | default | builders | on sockets that are | system's option | systems |\n\
                     |---|---|---|---|---|---|\n",
                    $(
                        "| [`", stringify!($name), "`](crate::",
                        $crate::net::options::builder_text!($first_protocol), "::", stringify!($name), ") | ",
                        $default_text, " | ",
                        stringify!($first_protocol) $(, ", ", stringify!($protocol))*, " | ",
                        $crate::net::options::role_text!($first_role)
                        $(, ", ", $crate::net::options::role_text!($role))*,
                        " | ", $($system,)? " | ",
                        $crate::net::options::systems_text!($($($systems)?)?), " |\n",
                    )+
                )
            };
        }

        /// The options that a socket has, as the system reports them, and those that this library keeps.
        ///
        #[doc = full_option_table!()]
        ///
        /// A method returns `None` where the socket has no such option, where the system does not tell, and where
        /// what the option limits has no limit.
        ///
        /// The system is free to make something else of a value than what was asked for: Linux gives no more than
        /// `net.core.rmem_max` to a buffer, and leaves multipath TCP away where the other side does not know it. What
        /// stands here is what it did.
        ///
        /// # Examples
        ///
        /// ```
        /// forebay::run(async |selector| {
        ///     let server = selector.tcp().bind("127.0.0.1:0").await?;
        ///     let socket = selector.tcp().ttl(17).connect(server.local_address()).await?;
        ///     let options = socket.options()?;
        ///     assert_eq!(options.ttl(), Some(17));
        ///     assert_eq!(options.no_delay(), Some(true));
        ///     // Only datagrams are sent by broadcast.
        ///     assert_eq!(options.broadcast(), None);
        ///     forebay::Result::Ok(())
        /// })?;
        /// # forebay::Result::Ok(())
        /// ```
        #[derive(Clone, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct SocketOptions {
            $(
                $(pub(in crate::net) $name: Option<$kept_type>,)?
                $(pub(in crate::net) $name: Option<$read_type>,)?
            )+
        }

        impl SocketOptions {
            $(
                $(define_options! { @accessor $name $kept_type, $first_protocol })?
                $(define_options! { @accessor $name $read_type, $first_protocol })?
            )+
        }

        /// Prints the options that the socket has.
        impl fmt::Debug for SocketOptions {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut fields = f.debug_struct("SocketOptions");
                $(
                    $(define_options! { @field fields self $name $kept_type })?
                    $(define_options! { @field fields self $name $read_type })?
                )+
                fields.finish_non_exhaustive()
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

        /// A row of the table, without its types.
        pub(super) struct Row {
            pub(super) name: &'static str,
            pub(super) protocols: &'static [Protocol],
            pub(super) roles: &'static [SocketRole],
            pub(super) value: fn(&OptionValues) -> &dyn fmt::Debug,
            /// Tells the value of an option that only this library knows; `None` if the system has it, or if it is none
            /// that could be told.
            pub(super) tell_kept: Option<fn(&OptionValues, &mut SocketOptions)>,
            /// `None` for an option that only this library knows.
            pub(super) system: Option<SystemOption>,
        }

        /// The calls of an option of the system's sockets.
        pub(super) struct SystemOption {
            pub(super) set: fn(&SockRef<'_>, &OptionValues, SocketRole) -> io::Result<()>,
            /// True if the system reports the value that is wanted, or if none is.
            pub(super) holds: fn(&SockRef<'_>, &OptionValues, SocketRole) -> bool,
            /// Tells the value that the system reports.
            pub(super) tell: fn(&SockRef<'_>, &mut SocketOptions),
        }

        /// The options, sorted by name.
        pub(super) static ROWS: &[Row] = &[$(
            Row {
                name: stringify!($name),
                protocols: &[Protocol::$first_protocol $(, Protocol::$protocol)*],
                roles: &[SocketRole::$first_role $(, SocketRole::$role)*],
                value: |options| &options.$name,
                tell_kept: define_options!(@optional $(
                    |options, told| take(&mut told.$name, options, $kept)
                )?),
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
                        tell: |socket, told| {
                            let read: fn(&SockRef<'_>) -> io::Result<_> = $read;
                            let tell: fn(_) -> Option<$read_type> = $tell;
                            told.$name = read(socket).ok().and_then(tell);
                        },
                    }
                )?),
            },
        )+];

        /// The setters of the builder of a protocol, which has a field `options`: an `Arc`, which is shared by the
        /// clones of a builder and the sockets that they make, until one of them is changed. The scope of the call must
        /// know the types of the arguments.
        macro_rules! builder_setters {
            ($of:ident) => { $(
                $crate::net::options::if_among! { $of in [$first_protocol $($protocol)*] {
                    $(#[$attribute])*
                    pub fn $name(mut self $(, $argument: $argument_type)?) -> Self {
                        std::sync::Arc::make_mut(&mut self.options).$name = $value;
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
                    $($crate::net::options::if_among! { $of in [$first_protocol $($protocol)*] {
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
    (@accessor $name:ident $type:ty, $protocol:ident) => {
        #[doc = concat!(
            "Returns [`", stringify!($name), "`](crate::",
            $crate::net::options::builder_text!($protocol), "::", stringify!($name),
            ") of the socket."
        )]
        pub fn $name(&self) -> Option<$type> {
            Option::clone(&self.$name)
        }
    };
    (@field $fields:ident $this:ident $name:ident $type:ty) => {
        if let Some(value) = &$this.$name {
            $fields.field(stringify!($name), value);
        }
    };
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

/// Takes over a value that this library keeps.
pub(super) fn take<O, T>(place: &mut Option<T>, options: &O, kept: fn(&O) -> Option<T>) {
    *place = kept(options);
}

/// The builder that documentation links to for an option of a protocol.
macro_rules! builder_text {
    (Tcp) => {
        "TcpBuilder"
    };
    (Udp) => {
        "UdpBuilder"
    };
    (Unix) => {
        "UnixBuilder"
    };
}
pub(in crate::net) use builder_text;

/// The systems that have an option, as documentation names them.
macro_rules! systems_text {
    () => {
        "all"
    };
    ($systems:literal) => {
        $systems
    };
}
pub(in crate::net) use systems_text;
