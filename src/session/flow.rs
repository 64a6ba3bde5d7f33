//! Flow control of one direction of one stream by absolute offsets, which no frame out of order can talk around.

use crate::session::frame::Credit;

/// Bytes that a receiver here lets its peer have under way on one stream.
pub(crate) const WINDOW_BYTES: u32 = 256 * 1024;

/// What a peer did that flow control forbids. The session ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlowError {
    /// Data without credit for it.
    #[error("{bytes} bytes of data beyond the credit at offset {offset}")]
    BeyondCredit {
        /// How many came.
        bytes: usize,
        /// Where the credit ends.
        offset: u64,
    },
    /// More is said to be consumed than was sent.
    #[error("credit for {consumed} consumed bytes of {sent} that were sent")]
    ConsumedUnsent {
        /// What the peer said.
        consumed: u64,
        /// What there was.
        sent: u64,
    },
    /// Less than was granted before.
    #[error("credit that goes back")]
    Backwards,
}

/// The sending end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sending {
    // INVARIANT (order): consumed <= sent <= limit.
    sent: u64,
    consumed: u64,
    limit: u64,
}

impl Sending {
    /// Bytes that may be sent now.
    pub(crate) fn room(&self) -> usize {
        usize::try_from(self.limit.saturating_sub(self.sent)).unwrap_or(usize::MAX)
    }

    /// Notes that `bytes`, at most [`Self::room`], were sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64).min(self.limit);
    }

    /// Takes the receiver's word, which may only grow.
    pub(crate) fn credit(&mut self, credit: Credit) -> Result<(), FlowError> {
        if self.sent < credit.consumed {
            return Err(FlowError::ConsumedUnsent { consumed: credit.consumed, sent: self.sent });
        }
        let limit = credit.consumed.saturating_add(u64::from(credit.window));
        if credit.consumed < self.consumed || limit < self.limit {
            return Err(FlowError::Backwards);
        }
        self.consumed = credit.consumed;
        self.limit = limit;
        Ok(())
    }
}

/// The receiving end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Receiving {
    // INVARIANT (order): consumed <= received <= granted.
    received: u64,
    consumed: u64,
    granted: u64,
}

impl Receiving {
    /// Notes data that came.
    pub(crate) fn receive(&mut self, bytes: usize) -> Result<(), FlowError> {
        let received = self.received.saturating_add(bytes as u64);
        if self.granted < received {
            return Err(FlowError::BeyondCredit { bytes, offset: self.granted });
        }
        self.received = received;
        Ok(())
    }

    /// Notes that so many of the received bytes have gone on to where they belong.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.consumed = self.consumed.saturating_add(bytes as u64).min(self.received);
    }

    /// Whether the peer should be told of new room: at first, and then whenever half a window is free.
    pub(crate) fn is_due(&self) -> bool {
        let limit = self.consumed.saturating_add(u64::from(WINDOW_BYTES));
        u64::from(WINDOW_BYTES / 2) <= limit.saturating_sub(self.granted)
    }

    /// The credit to send when it is due.
    pub(crate) fn grant(&mut self) -> Credit {
        self.granted = self.consumed.saturating_add(u64::from(WINDOW_BYTES));
        Credit { consumed: self.consumed, window: WINDOW_BYTES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_may_be_sent_before_credit() {
        assert_eq!(Sending::default().room(), 0);
        assert_eq!(Receiving::default().receive(1), Err(FlowError::BeyondCredit { bytes: 1, offset: 0 }));
    }

    #[test]
    fn credit_only_grows() {
        let mut sending = Sending::default();
        sending.credit(Credit { consumed: 0, window: 10 }).unwrap();
        sending.sent(6);
        assert_eq!(sending.room(), 4);
        assert_eq!(
            sending.credit(Credit { consumed: 7, window: 10 }),
            Err(FlowError::ConsumedUnsent { consumed: 7, sent: 6 })
        );
        sending.credit(Credit { consumed: 5, window: 10 }).unwrap();
        assert_eq!(sending.room(), 9);
        assert_eq!(sending.credit(Credit { consumed: 4, window: 20 }), Err(FlowError::Backwards));
        assert_eq!(sending.credit(Credit { consumed: 6, window: 8 }), Err(FlowError::Backwards));
        assert_eq!(sending.room(), 9);
    }

    #[test]
    fn credit_is_due_at_first_and_after_half_a_window() {
        let mut receiving = Receiving::default();
        assert!(receiving.is_due());
        assert_eq!(receiving.grant(), Credit { consumed: 0, window: WINDOW_BYTES });
        assert!(!receiving.is_due());
        let half = WINDOW_BYTES as usize / 2;
        receiving.receive(half).unwrap();
        receiving.consume(half - 1);
        assert!(!receiving.is_due());
        receiving.consume(1);
        assert!(receiving.is_due());
        receiving.grant();
        assert_eq!(receiving.receive(2 * half + 1).unwrap_err().to_string().split(' ').next(), Some("262145"));
        receiving.receive(2 * half).unwrap();
    }
}
