//! The items of a shared channel, each written in its writer's turn.
//!
//! Usually no writer waits and there is room: then the item is accepted at once, without a ticket. What waits is in a
//! box, because a task holds the memory of its largest call for its whole life.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::item::{WholeWrite, Written};
use super::share::{SharedOutput, SharedWriteChannel};
use super::tickets::Ticket;
use super::{FormattedItem, ItemBuffer};
use crate::Result;
use crate::item::Item;
use crate::lock::lock;
use crate::outbox::{Outbox, Until, WriterPace};
use crate::queue::SHARE_BYTES;
use crate::turn::wake_next_turn;

impl<'a, I: Item + Unpin + Send + Sync + 'a> Written<'a, &'a SharedWriteChannel> for I {
    #[inline]
    fn accept(&mut self, channel: &mut &'a SharedWriteChannel) -> bool {
        channel.is_next() && channel.accept_usual(*self)
    }

    fn write_whole(self, channel: &'a SharedWriteChannel) -> WholeWrite<'a> {
        Box::pin(channel.write_item(self))
    }
}

impl<'a> Written<'a, &'a SharedWriteChannel> for Bytes {
    #[inline]
    fn accept(&mut self, channel: &mut &'a SharedWriteChannel) -> bool {
        let SharedOutput { outbox, auto_flush, .. } = &*channel.0;
        !self.is_empty()
            && channel.is_next()
            && outbox.accept_bytes(*auto_flush, self).unwrap_or(false)
    }

    fn write_whole(mut self, channel: &'a SharedWriteChannel) -> WholeWrite<'a> {
        Box::pin(async move {
            if self.is_empty() {
                return channel.answer().await;
            }
            channel.in_turn(None, |outbox, flush| outbox.accept_bytes(flush, &mut self)).await
        })
    }
}

impl<'a> Written<'a, &'a SharedWriteChannel> for FormattedItem {
    #[inline]
    fn accept(&mut self, channel: &mut &'a SharedWriteChannel) -> bool {
        !self.has_failed() && channel.is_next() && channel.accept_usual(self.as_slice())
    }

    fn write_whole(self, channel: &'a SharedWriteChannel) -> WholeWrite<'a> {
        Box::pin(async move {
            channel.check_formats(self.has_failed())?;
            channel.write_item(self.as_slice()).await
        })
    }
}

impl SharedWriteChannel {
    /// Returns `true` if no writer waits, so that a call need not wait for its turn.
    #[inline]
    pub(super) fn is_next(&self) -> bool {
        self.0.tickets.is_empty()
    }

    /// Accepts an item of ordinary size, if there is room. An error is left to the wait, which finds it again.
    #[inline]
    fn accept_usual(&self, item: impl Item) -> bool {
        let SharedOutput { outbox, auto_flush, channel, .. } = &*self.0;
        (1..=channel.item_max).contains(&item.len())
            && outbox.accept_in_burst(*auto_flush, item).unwrap_or(false)
    }

    /// Waits for this writer's turn and for room, and accepts one item in one step.
    async fn write_item(&self, item: impl Item) -> Result<()> {
        self.check_item(item.len())?;
        if item.len() == 0 {
            return self.answer().await;
        }
        self.in_turn(None, |outbox, flush| outbox.accept(flush, item)).await
    }

    /// Waits for this writer's turn and for room, unless it has both. Returns the ticket that it has taken for that.
    pub(super) async fn ticket_if_full(&self) -> Result<Option<Ticket<'_>>> {
        if self.0.outbox.has_room() && self.is_next() {
            return Ok(None);
        }
        Box::pin(self.ticket()).await.map(Some)
    }

    async fn ticket(&self) -> Result<Ticket<'_>> {
        let mut ticket = self.0.tickets.take();
        self.turn(&mut ticket).await?;
        Ok(ticket)
    }

    /// Accepts an item that was composed in this writer's turn, if there still is room. Returns `false` if it must go
    /// the whole way.
    pub(super) fn accept_composed(&self, ticket: Option<&Ticket<'_>>, item: &ItemBuffer) -> bool {
        item.len() < SHARE_BYTES
            && (ticket.is_some() || self.is_next())
            && self.accept_usual(item.as_slice())
    }

    /// Writes an item that was composed in this writer's turn, however long it takes.
    pub(super) async fn write_composed(
        &self,
        ticket: Option<Ticket<'_>>,
        item: ItemBuffer,
    ) -> Result<()> {
        if item.is_empty() {
            return self.answer().await;
        }
        if item.len() >= SHARE_BYTES {
            let mut bytes = item.into_bytes();
            return self
                .in_turn(ticket, |outbox, flush| outbox.accept_bytes(flush, &mut bytes))
                .await;
        }
        self.in_turn(ticket, |outbox, flush| outbox.accept(flush, item.as_slice())).await
    }

    /// Calls `accept` until it has accepted. Usually that is at once, without a ticket.
    pub(super) async fn in_turn(
        &self,
        ticket: Option<Ticket<'_>>,
        mut accept: impl FnMut(&Arc<Outbox>, bool) -> Result<bool>,
    ) -> Result<()> {
        let SharedOutput { outbox, auto_flush, tickets, .. } = &*self.0;
        // An error is left to the wait, which finds it again, returns it, and gives way if it is ignored.
        let mut try_accept = || accept(outbox, *auto_flush).unwrap_or(false);
        if (ticket.is_some() || tickets.is_empty()) && try_accept() {
            return Ok(());
        }
        let mut ticket = ticket.unwrap_or_else(|| tickets.take());
        loop {
            self.turn(&mut ticket).await?;
            if try_accept() {
                return Ok(());
            }
        }
    }

    /// Waits until there is room, and no writer with an older ticket.
    async fn turn(&self, ticket: &mut Ticket<'_>) -> Result<()> {
        loop {
            if !self.0.outbox.would_accept() {
                ticket.restart();
                self.room().await?;
            } else if ticket.is_first() {
                return Ok(());
            } else {
                // The writers in front were woken before this one, and are about to go.
                next_turn().await;
            }
        }
    }

    /// Writes nothing. Gives way if such a call has returned at once a few times in a row.
    pub(super) async fn answer(&self) -> Result<()> {
        if !self.0.outbox.has_room() {
            return self.room().await;
        }
        self.give_way().await;
        Ok(())
    }

    /// Waits until the queue is below its mark, sending it first if it is not.
    async fn room(&self) -> Result<()> {
        let accepted = self.0.outbox.accepted();
        self.poll_pace(|pace| pace.count(accepted));
        self.0.outbox.advance();
        let answer = self.0.outbox.wait(Until::Room).await;
        poll_fn(|cx| self.poll_pace(|pace| pace.poll(cx, answer.is_ok()))).await;
        answer
    }

    pub(super) async fn give_way(&self) {
        poll_fn(|cx: &mut Context<'_>| -> Poll<()> {
            self.poll_pace(|pace| pace.answers.poll_one(cx))
        })
        .await;
    }

    /// Calls `call` with the pace of all clones, outside the lock: it may wake a task. Two threads at once may
    /// lose a count to each other, which gives one of them a larger share of a turn.
    pub(super) fn poll_pace<R>(&self, call: impl FnOnce(&mut WriterPace) -> R) -> R {
        let mut pace = std::mem::take(&mut *lock(&self.0.pace));
        let result = call(&mut pace);
        *lock(&self.0.pace) = pace;
        result
    }
}

/// Gives way to the next turn.
async fn next_turn() {
    let mut gave_way = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        wake_next_turn(cx.waker());
        Poll::Pending
    })
    .await;
}
