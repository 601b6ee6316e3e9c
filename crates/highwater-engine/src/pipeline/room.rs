//! Room for so many at once, which may become more or fewer while they are in hand. Owns the count; what takes room is the
//! pipeline's.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places.
#[derive(Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    total: usize,
    /// Places that are to go, and are still taken.
    surplus: usize,
}

impl Room {
    pub(super) fn new(total: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(total)), total, surplus: 0 }
    }

    /// From now on it is so many. Who is in stays in: places above it go as they become free.
    pub(super) fn resize(&mut self, total: usize) {
        if total > self.total {
            let more = total - self.total;
            let kept = more.min(self.surplus);
            self.surplus -= kept;
            self.places.add_permits(more - kept);
        } else {
            self.surplus += self.total - total;
            self.surplus -= self.places.forget_permits(self.surplus);
        }
        self.total = total;
    }

    /// Waits for a place and takes it.
    pub(super) async fn take(&mut self) -> OwnedSemaphorePermit {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await.expect("invariant: it is never closed");
            if self.surplus == 0 {
                return place;
            }
            place.forget();
            self.surplus -= 1;
        }
    }

    /// Waits until all places are free; who takes one meanwhile takes it after this.
    pub(super) async fn empty(&self) {
        let all = u32::try_from(self.total + self.surplus).unwrap_or(u32::MAX);
        drop(self.places.acquire_many(all).await);
    }
}

/// What the semaphore of shuttle lacks.
#[cfg(shuttle)]
trait ForgetPermits {
    fn forget_permits(&self, most: usize) -> usize;
}

#[cfg(shuttle)]
impl ForgetPermits for Semaphore {
    fn forget_permits(&self, most: usize) -> usize {
        let free = (0..most).map_while(|_| self.try_acquire().ok());
        free.map(|place| place.forget()).count()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn takes(room: &mut Room) -> Option<OwnedSemaphorePermit> {
        room.take().now_or_never()
    }

    #[tokio::test]
    async fn more_room_is_there_at_once_and_less_as_those_in_hand_leave() {
        let mut room = Room::new(1);
        let first = takes(&mut room).unwrap();
        assert!(takes(&mut room).is_none());
        room.resize(3);
        let (second, third) = (takes(&mut room).unwrap(), takes(&mut room).unwrap());
        assert!(takes(&mut room).is_none());
        room.resize(1);
        drop((first, second));
        assert!(takes(&mut room).is_none(), "the third is still in");
        assert!(room.empty().now_or_never().is_none());
        drop(third);
        let only = takes(&mut room).unwrap();
        assert!(takes(&mut room).is_none());
        drop(only);
        assert!(room.empty().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_change_that_is_taken_back_before_anyone_left_changes_nothing() {
        let mut room = Room::new(4);
        let held: Vec<_> = (0..3).map(|_| takes(&mut room).unwrap()).collect();
        room.resize(1);
        room.resize(4);
        let fourth = takes(&mut room).unwrap();
        assert!(takes(&mut room).is_none());
        drop((held, fourth));
        let all: Vec<_> = std::iter::from_fn(|| takes(&mut room)).collect();
        assert_eq!(all.len(), 4);
    }
}
