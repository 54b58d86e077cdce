//! The life of a connection, event by event.

use super::life::{Announce, Life, State};

/// An event, as a row of the table names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Lose,
    PeerEnds,
    EndByRelease,
    WeEnd,
    BeginClosing,
    Attend,
    LayOnTop,
    LayerIsReady,
    DiscardData,
}

/// The result of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It has happened, now or before, and no call needs to know.
    Silent,
    /// Waits for the end look again.
    Waiters,
    /// Calls on the link look again.
    Calls,
    /// Both.
    All,
    Refused,
}

use Answer::{All, Calls, Refused, Silent, Waiters};
use Event::{
    Attend, BeginClosing, DiscardData, EndByRelease, LayOnTop, LayerIsReady, Lose, PeerEnds, WeEnd,
};

const EVENTS: [Event; 9] = [
    Lose,
    PeerEnds,
    EndByRelease,
    WeEnd,
    BeginClosing,
    Attend,
    LayOnTop,
    LayerIsReady,
    DiscardData,
];

fn happen(life: &Life, event: Event) -> Answer {
    let accepted = |accepted| if accepted { Silent } else { Refused };
    let announced = |announce: Announce| match (announce.calls, announce.waiters) {
        (false, false) => Silent,
        (false, true) => Waiters,
        (true, false) => Calls,
        (true, true) => All,
    };
    match event {
        Lose => {
            life.lose();
            Silent
        }
        PeerEnds => announced(life.peer_ended()),
        EndByRelease => accepted(life.end_by_release()),
        WeEnd => announced(life.we_ended()),
        BeginClosing => announced(life.begin_closing()),
        Attend => accepted(life.attend()),
        LayOnTop => announced(life.lay_on_top()),
        LayerIsReady => announced(life.layer_is_ready()),
        DiscardData => {
            life.discarded_data();
            Silent
        }
    }
}

#[test]
fn each_event_is_answered_by_what_happened_before() {
    let rows: [(&[Event], Event, Answer); 23] = [
        (&[], Lose, Silent),
        (&[], PeerEnds, Waiters),
        (&[PeerEnds], PeerEnds, Silent),
        (&[Lose], PeerEnds, Waiters),
        (&[], WeEnd, Waiters),
        (&[WeEnd], WeEnd, Silent),
        (&[EndByRelease], WeEnd, Waiters),
        (&[], EndByRelease, Silent),
        (&[PeerEnds, BeginClosing], EndByRelease, Silent),
        (&[WeEnd], EndByRelease, Refused),
        (&[], BeginClosing, Calls),
        (&[BeginClosing], BeginClosing, Silent),
        (&[LayOnTop], BeginClosing, Calls),
        (&[], Attend, Refused),
        (&[BeginClosing], Attend, Silent),
        (&[BeginClosing, Attend], Attend, Refused),
        (&[], LayOnTop, Waiters),
        (&[LayOnTop], LayOnTop, Silent),
        (&[LayOnTop], LayerIsReady, Waiters),
        // The close reads, because the layer does not read any more.
        (&[LayOnTop, BeginClosing], LayerIsReady, All),
        (&[BeginClosing, LayOnTop], LayerIsReady, All),
        (&[LayOnTop, LayerIsReady, BeginClosing], LayerIsReady, Silent),
        (&[BeginClosing], DiscardData, Silent),
    ];
    for (before, event, expected) in rows {
        let life = Life::default();
        for event in before {
            happen(&life, *event);
        }
        assert_eq!(happen(&life, event), expected, "{event:?} behind {before:?}");
    }
}

#[test]
fn readers_are_refused_by_a_close_and_a_layer_once_it_is_ready() {
    type Query = fn(State) -> bool;
    let rows: [(&[Event], Query, bool); 8] = [
        (&[], State::refuses_reads, false),
        (&[BeginClosing], State::refuses_reads, true),
        (&[LayOnTop], State::refuses_reads_of_layer, false),
        (&[LayOnTop, BeginClosing], State::refuses_reads_of_layer, false),
        (&[LayOnTop, BeginClosing], State::refuses_reads, true),
        (&[LayOnTop, BeginClosing, LayerIsReady], State::refuses_reads_of_layer, true),
        (&[LayOnTop], State::is_handshaking, true),
        (&[LayOnTop, LayerIsReady], State::is_handshaking, false),
    ];
    for (before, query, expected) in rows {
        let life = Life::default();
        for event in before {
            happen(&life, *event);
        }
        assert_eq!(query(life.state()), expected, "behind {before:?}");
    }
}

/// The answers of a state to each question.
fn answers(state: State) -> [bool; 6] {
    [
        state.is_lost(),
        state.has_peer_ended(),
        state.ends_by_release(),
        state.have_we_ended(),
        state.is_closing(),
        state.has_discarded_data(),
    ]
}

#[test]
fn nothing_goes_back_in_any_order_of_four_events() {
    for first in EVENTS {
        for second in EVENTS {
            for third in EVENTS {
                for fourth in EVENTS {
                    let life = Life::default();
                    let mut before = answers(life.state());
                    for event in [first, second, third, fourth] {
                        happen(&life, event);
                        let now = answers(life.state());
                        let went_back = before.iter().zip(now).any(|(before, now)| *before && !now);
                        assert!(!went_back, "{first:?} {second:?} {third:?} {fourth:?}");
                        before = now;
                    }
                }
            }
        }
    }
}

#[test]
fn an_event_that_happened_announces_nothing_more() {
    for event in EVENTS {
        let life = Life::default();
        happen(&life, BeginClosing);
        happen(&life, event);
        let again = happen(&life, event);
        assert!(matches!(again, Silent | Refused), "{event:?}: {again:?}");
    }
}
