//! A change of what is declared, in steps: built beside, seeded in slices, caught up, proved, put in its place. Owns their order, and
//! that each may be taken again after a kill.

use std::time::Duration;

use highwater_db::session::{FaultKind, Session};
use highwater_engine::job::{CommitCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::Reason;
use jiff::Timestamp;

use super::walk::touched;
use super::{Rollup, Step};
use crate::change::{self, ChangeRefused, beside};
use crate::ddl::InstallError;
use crate::declare::Declaration;
use crate::recompute::{self, Span};
use crate::settings::Subject;
use crate::verify::{Finding, Scope, verify};
use crate::{bound, state, told};

/// Tries to lock all tables before the pass leaves it to another; writers are let through between them.
const SWAP_TRIES_MAX: u32 = 20;
/// What a step comes to whose change was given up.
const VOID: &str = "void: another change is to be planned";
/// Wrong cells that are told.
const TOLD_CELLS_MAX: usize = 3;
/// The rest between two.
const SWAP_REST_MILLIS: u64 = 500;

impl Rollup {
    /// The steps of a change; only a tick where there is nothing to change.
    pub(super) async fn of_change(
        &self,
        session: &mut dyn Session,
        declaration: &Declaration,
        drop_frozen: bool,
    ) -> Result<Vec<Step>, Stop> {
        let installed = change::installed(session, declaration).await.map_err(|error| self.unchanged(error))?;
        let Some(installed) = installed else { return Ok(vec![Step::Tick]) };
        let checked = change::check(session, &installed, declaration, drop_frozen).await;
        checked.map_err(|error| self.unchanged(error))?;
        let extent = recompute::extent(session, declaration).await.map_err(|fault| self.stop("the source", &fault))?;
        let from = change::live_from(session, &installed, declaration).await;
        let from = from.map_err(|fault| self.stop("what is frozen", &fault))?;
        let mut steps = vec![Step::Beside];
        let mut built = None;
        if let Some(extent) = extent {
            let from = from.map_or(extent.from, |from| from.max(extent.from));
            steps.extend(self.cut(from, extent.to).map(|(from, to)| Step::Build { from, to }));
            built = Some((from, extent.to.max(from)));
        }
        steps.push(Step::Swap { drop_frozen, built });
        Ok(steps)
    }

    /// One step of a change.
    pub(super) async fn changed(
        &self,
        cx: &mut CommitCx,
        step: &Step,
        said: &mut Vec<String>,
    ) -> Result<Outcome, Stop> {
        let Subject::Declared(declaration) = &self.subject else {
            return Err(Stop::Halt {
                why: "a change of a declaration was planned, and there is none any more".to_owned(),
                evidence: format!("`highwater worklist {0} --replace` and `highwater rearm {0} --why …`", self.handle),
                until: None,
            });
        };
        match step {
            Step::Build { from, to } => self.built(cx, declaration, *from, *to).await,
            Step::Swap { drop_frozen, built } => self.swapped(cx, declaration, *drop_frozen, *built, said).await,
            _ => self.beside_made(cx, declaration).await,
        }
    }

    /// The rollup beside is there, empty, and its queues are filled from now on.
    pub(super) async fn beside_made(&self, cx: &mut CommitCx, declaration: &Declaration) -> Result<Outcome, Stop> {
        let mut lent = self.lent(cx).await?;
        let session = lent.session();
        let installed = change::installed(session, declaration).await.map_err(|error| self.unchanged(error))?;
        let Some(installed) = installed else { return Ok(touched(0)) };
        if let Err(error) = change::install(session, &installed, declaration).await {
            session.rollback().await.ok();
            return Err(self.unchanged(error));
        }
        Ok(touched(0))
    }

    /// A slice of the rollup beside.
    pub(super) async fn built(
        &self,
        cx: &mut CommitCx,
        declaration: &Declaration,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Outcome, Stop> {
        let installed = {
            let mut lent = self.lent(cx).await?;
            change::installed(lent.session(), declaration).await.map_err(|error| self.unchanged(error))?
        };
        if installed.is_none() {
            return Ok(done("there is nothing to change any more"));
        }
        if !self.is_built(cx, declaration).await? {
            return Ok(done(VOID));
        }
        let rows = self.walk(cx, &Subject::Declared(beside(declaration)), Span { from, to }, None).await?;
        Ok(touched(rows))
    }

    /// Whether what is built beside is what is declared now. If not, the declaration changed again, or it was taken away: what was
    /// planned of it is void, and a call of `rollup change` plans anew.
    async fn is_built(&self, cx: &mut CommitCx, declaration: &Declaration) -> Result<bool, Stop> {
        let mut lent = self.lent(cx).await?;
        let is_built = change::is_built(lent.session(), declaration).await;
        let is_built = is_built.map_err(|fault| self.stop("what is built beside", &fault))?;
        if is_built || self.asked.change.is_some() {
            return Ok(is_built);
        }
        Err(Stop::Halt {
            why:
                "what is built beside is not what is declared now: the declaration changed again, or it was taken away"
                    .to_owned(),
            evidence: self.way_to_change(),
            until: None,
        })
    }

    /// The rollup beside is caught up, proved, and put in the place of the installed one.
    pub(super) async fn swapped(
        &self,
        cx: &mut CommitCx,
        declaration: &Declaration,
        drop_frozen: bool,
        built: Option<(Timestamp, Timestamp)>,
        said: &mut Vec<String>,
    ) -> Result<Outcome, Stop> {
        let installed = {
            let mut lent = self.lent(cx).await?;
            change::installed(lent.session(), declaration).await.map_err(|error| self.unchanged(error))?
        };
        // A pass that was killed after the swap did not record it.
        let Some(installed) = installed else { return Ok(done("it is in its place")) };
        if !self.is_built(cx, declaration).await? {
            return Ok(done(VOID));
        }
        self.refuse_undone(&cx.read).await?;
        let next = beside(declaration);
        self.build_rest(cx, &next, built).await?;
        let carried = self.seeded_beside(cx, &installed, declaration, drop_frozen).await?;
        self.ticked(cx, &next, None, said).await?;
        self.prove(cx, declaration).await?;
        self.put_in_place(cx, &installed, declaration).await?;
        Ok(done(&format!("in its place; {carried} frozen cells carried over")))
    }

    /// What came between the plan and the triggers of the rollup beside, and is in no slice.
    async fn build_rest(
        &self,
        cx: &mut CommitCx,
        next: &Declaration,
        built: Option<(Timestamp, Timestamp)>,
    ) -> Result<(), Stop> {
        let extent = {
            let mut lent = self.lent(cx).await?;
            recompute::extent(lent.session(), next).await.map_err(|fault| self.stop("the source", &fault))?
        };
        let Some(extent) = extent else { return Ok(()) };
        let (from, to) = built.unwrap_or((extent.to, extent.to));
        let subject = Subject::Declared(next.clone());
        for span in
            [Span { from: extent.from, to: from.min(extent.to) }, Span { from: to.max(extent.from), to: extent.to }]
        {
            if span.from < span.to {
                self.walk(cx, &subject, span, None).await?;
            }
        }
        Ok(())
    }

    async fn seeded_beside(
        &self,
        cx: &mut CommitCx,
        installed: &Declaration,
        declaration: &Declaration,
        drop_frozen: bool,
    ) -> Result<u64, Stop> {
        let next = beside(declaration);
        let mut lent = self.lent(cx).await?;
        let session = lent.session();
        let done = async {
            session.begin().await?;
            let now = bound::now(session).await?;
            let carried = change::carry(session, installed, declaration, drop_frozen).await?;
            state::seeded(session, &next, now).await?;
            session.commit().await?;
            Ok(carried)
        };
        let done = done.await;
        if let Err(fault) = done {
            session.rollback().await.ok();
            return Err(self.stop("the end of the seed", &fault));
        }
        done.map_err(|fault| self.stop("the end of the seed", &fault))
    }

    async fn prove(&self, cx: &mut CommitCx, declaration: &Declaration) -> Result<(), Stop> {
        let next = beside(declaration);
        let mut lent = self.lent(cx).await?;
        let session = lent.session();
        let proof = async {
            session.begin_reading().await?;
            let found = verify(session, &next, None, &Scope::all()).await?;
            session.rollback().await?;
            Ok(found)
        };
        let found = proof.await.map_err(|fault| self.stop("the proof", &fault))?;
        if found.wrong == 0 {
            return Ok(());
        }
        let first: Vec<String> = found.findings.iter().take(TOLD_CELLS_MAX).map(shown).collect();
        let taken_away = async {
            session.begin().await?;
            change::take_away(session, declaration).await?;
            session.commit().await?;
            Ok::<(), ChangeRefused>(())
        };
        taken_away.await.map_err(|error| self.unchanged(error))?;
        Err(Stop::Halt {
            why: format!(
                "{} of {} cells of what was built beside were wrong, and it was taken away; the installed rollup is as it was",
                found.wrong, found.cells
            ),
            evidence: format!("{}; {}", first.join("; "), self.way_to_change()),
            until: None,
        })
    }

    async fn put_in_place(
        &self,
        cx: &mut CommitCx,
        installed: &Declaration,
        declaration: &Declaration,
    ) -> Result<(), Stop> {
        let read = cx.read.clone();
        let mut tries = 0;
        loop {
            read.obey().await?;
            let swapped = {
                let mut lent = self.lent(cx).await?;
                change::swap(lent.session(), installed, declaration).await
            };
            tries += 1;
            match swapped {
                Ok(()) => return Ok(()),
                Err(fault) if fault.kind == FaultKind::Contended && tries < SWAP_TRIES_MAX => {
                    read.rest(Duration::from_millis(SWAP_REST_MILLIS)).await?;
                }
                Err(fault) if fault.kind == FaultKind::Contended => {
                    return Err(Stop::checkpoint(
                        Reason::Checkpoint,
                        "all is built and proved, but others use the tables without a pause: the next pass tries again to put it \
                         in its place",
                    ));
                }
                Err(fault) => return Err(self.stop("the swap", &fault)),
            }
        }
    }

    /// The stop that a refused change is.
    fn unchanged(&self, error: ChangeRefused) -> Stop {
        match error {
            ChangeRefused::Fault(fault) | ChangeRefused::Index(InstallError::Index { fault, .. }) => {
                self.stop("the change", &fault)
            }
            other => Stop::Fail(told::of_change(&self.address.to_string(), &self.handle, &other)),
        }
    }
}

/// A wrong cell as evidence.
fn shown(finding: &Finding) -> String {
    let cell: Vec<String> = finding.cell.iter().map(ToString::to_string).collect();
    format!("{:?} {}", finding.wrong, cell.join(" · "))
}

fn done(why: &str) -> Outcome {
    Outcome::because(OutcomeKind::Done, why.to_owned())
}
