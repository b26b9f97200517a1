//! Teams: workers that count together (spec: accounts, section 14).

use std::collections::{BTreeMap, HashMap};

use muster_protocol::{
    ActiveModelLite, CreateTeamInput, DeletedTeam, Kudos, ModifyTeam, ModifyTeamInput, ReturnCode,
    TeamDetails, WorkKind,
};
use muster_store::{JournalError, Role, Team};
use uuid::Uuid;

use crate::{
    Call, Engine, EngineError,
    accounts::Caller,
    error::Result,
    names,
    profanity::is_profane,
    workers::{Service, in_short},
};

/// The refusal of a team that nobody knows.
pub(crate) fn unknown_team() -> EngineError {
    EngineError::refused(ReturnCode::TeamNotFound, "There is no such team.")
}

impl Engine {
    /// All teams, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn teams(&self) -> Result<Vec<TeamDetails>> {
        let mut views = Vec::new();
        for team in self.store.teams().await? {
            views.push(self.team_view(team).await?);
        }
        Ok(views)
    }

    /// A team by its id.
    ///
    /// # Errors
    /// `TeamNotFound`.
    pub async fn team(&self, id: &str) -> Result<TeamDetails> {
        let team = self.find_team(id).await?;
        self.team_view(team).await
    }

    /// Makes a team.
    ///
    /// # Errors
    /// No or an unknown key, `AnonForbidden`, `UntrustedTeamCreation`, and names or texts that are not acceptable.
    pub async fn create_team(&self, call: &Call, input: CreateTeamInput) -> Result<ModifyTeam> {
        let caller = self.identify(call).await?;
        if caller.id().is_anonymous() {
            let message = "The anonymous account cannot make teams.";
            return Err(EngineError::refused(ReturnCode::AnonForbidden, message));
        }
        if !caller.is_trusted() {
            let message = "Only trusted accounts can make teams.";
            return Err(EngineError::refused(ReturnCode::UntrustedTeamCreation, message));
        }
        let name = names::clean(&input.name);
        if self.store.team_by_name(&name).await?.is_some() {
            return Err(name_taken());
        }
        check_name(&name)?;
        let info = input.info.as_deref().map(checked_info).transpose()?;
        let now = self.clock.now();
        let team = Team {
            id: Uuid::from_u128(self.random()),
            name: name.clone(),
            info: info.clone(),
            owner: caller.id(),
            created: now,
            last_active: now,
            contributions: 0.0,
            fulfilments: 0,
            kudos: Kudos::ZERO,
            uptime: 0,
        };
        let id = team.id;
        let made = self.store.journal().create_team(team).await;
        made.map_err(unless_free)?;
        Ok(ModifyTeam {
            id,
            name: Some(name),
            info,
        })
    }

    /// Changes a team.
    ///
    /// # Errors
    /// `TeamNotFound`, `InvalidAPIKey`, what the caller may not do, values that are not acceptable, and
    /// `NoTeamModSelected` if nothing is to be changed.
    pub async fn modify_team(&self, call: &Call, id: &str, input: ModifyTeamInput) -> Result<ModifyTeam> {
        let mut team = self.find_team(id).await?;
        let caller = self.known_caller(call).await?;
        let mut changed = ModifyTeam {
            id: team.id,
            name: None,
            info: None,
        };
        if let Some(info) = &input.info {
            check_owner(&caller, &team, ReturnCode::NotOwner)?;
            let info = checked_info(info)?;
            team.info = Some(info.clone());
            changed.info = Some(info);
        }
        if let Some(name) = &input.name {
            check_owner(&caller, &team, ReturnCode::NotModerator)?;
            let name = names::clean(name);
            if name != team.name {
                check_name(&name)?;
            }
            team.name.clone_from(&name);
            changed.name = Some(name);
        }
        if changed.name.is_none() && changed.info.is_none() {
            let message = "Nothing was selected to be changed.";
            return Err(EngineError::refused(ReturnCode::NoTeamModSelected, message));
        }
        let journal = self.store.journal();
        let written = journal.change_team(team.id, team.name, team.info).await;
        written.map_err(unless_free)?;
        Ok(changed)
    }

    /// Deletes a team; its workers are in none then.
    ///
    /// # Errors
    /// `TeamNotFound`, `InvalidAPIKey`, `NotModerator`.
    pub async fn delete_team(&self, call: &Call, id: &str) -> Result<DeletedTeam> {
        let team = self.find_team(id).await?;
        let caller = self.known_caller(call).await?;
        check_owner(&caller, &team, ReturnCode::NotModerator)?;
        self.store.journal().delete_team(team.id).await?;
        for worker in self.workers.all() {
            let mut worker = worker.lock();
            worker.team = worker.team.filter(|other| *other != team.id);
        }
        Ok(DeletedTeam {
            deleted_id: team.id,
            deleted_name: team.name,
        })
    }

    /// The names of all teams by id.
    pub(crate) async fn team_names(&self) -> Result<HashMap<Uuid, String>> {
        let in_teams = self
            .workers
            .all()
            .iter()
            .any(|worker| worker.lock().team.is_some());
        if !in_teams {
            return Ok(HashMap::new());
        }
        let teams = self.store.teams().await?;
        Ok(teams.into_iter().map(|team| (team.id, team.name)).collect())
    }

    async fn find_team(&self, id: &str) -> Result<Team> {
        let id: Uuid = id.parse().map_err(|_| unknown_team())?;
        self.store.team(id).await?.ok_or_else(unknown_team)
    }

    async fn team_view(&self, team: Team) -> Result<TeamDetails> {
        let now = self.clock.now();
        let creator = self.accounts.get(&self.store, team.owner).await?;
        let mut workers = Vec::new();
        let mut models: BTreeMap<String, u32> = BTreeMap::new();
        for worker in self.workers.all() {
            let worker = worker.lock();
            if worker.team != Some(team.id) {
                continue;
            }
            workers.push(in_short(&worker, now));
            let served: &[_] = match &worker.service {
                Service::Image(serving) => &serving.settings.models,
                Service::Text(serving) => &serving.settings.models,
                Service::Alchemy(_) => &[],
            };
            for model in served {
                *models.entry(model.to_string()).or_default() += 1;
            }
        }
        let kind = |kind: WorkKind| kind as u8;
        workers.sort_by(|one, other| (kind(one.kind), &one.name).cmp(&(kind(other.kind), &other.name)));
        Ok(TeamDetails {
            name: team.name,
            id: team.id,
            info: team.info,
            requests_fulfilled: team.fulfilments,
            kudos: team.kudos.whole() as f64,
            uptime: team.uptime,
            creator: creator.map_or_else(|| format!("wiped#{}", team.owner), |creator| creator.alias()),
            worker_count: workers.len() as u32,
            workers,
            models: models
                .into_iter()
                .map(|(name, count)| ActiveModelLite { name, count })
                .collect(),
        })
    }
}

fn name_taken() -> EngineError {
    let message = "Another team has this name.";
    EngineError::refused(ReturnCode::TeamNameAlreadyExists, message)
}

fn unless_free(error: JournalError) -> EngineError {
    match error {
        JournalError::NameTaken(_) => name_taken(),
        other => other.into(),
    }
}

fn check_name(name: &str) -> Result<()> {
    if is_profane(name) {
        let message = "A team's name is shown to everybody and cannot contain profanity.";
        return Err(EngineError::refused(ReturnCode::ProfaneTeamName, message));
    }
    if name.is_empty() {
        let message = "Nothing is left of this name.";
        return Err(EngineError::refused(ReturnCode::BadRequest, message));
    }
    Ok(())
}

fn checked_info(info: &str) -> Result<String> {
    if is_profane(info) {
        let message = "What is said about a team cannot contain profanity.";
        return Err(EngineError::refused(ReturnCode::ProfaneTeamInfo, message));
    }
    Ok(names::clean(info))
}

fn check_owner(caller: &Caller, team: &Team, otherwise: ReturnCode) -> Result<()> {
    if caller.id() == team.owner || caller.has(Role::Moderator) {
        return Ok(());
    }
    let message = "Only its owner and moderators may change a team.";
    Err(EngineError::refused(otherwise, message))
}
