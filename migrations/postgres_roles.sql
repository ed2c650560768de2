-- Three roles for a log on Postgres: who owns it, who writes to it, who only reads. `trainwright db roles` prints it.
--
--   trainwright db roles | psql "$ADMIN_URL"
--   psql -v owner=tw_owner -v writer=tw_writer -v reader=tw_reader -f postgres_roles.sql "$ADMIN_URL"
--
-- Run it once after `trainwright db upgrade`, as a role that may make roles and owns the tables (a superuser, or the
-- role that made the database), and again after every upgrade that brings new tables: the second time changes only
-- what is missing. Roles that exist are kept. Give them a way to log in afterwards: in psql, ALTER ROLE tw_writer
-- LOGIN and then \password tw_writer, which asks for it, so that it stands in no history and no log. Then write
--
--   TRAINWRIGHT_DATABASE_URL=postgresql://tw_writer@HOST/NAME?sslmode=verify-full&sslrootcert=FILE&passfile=FILE
--
-- into the daemon's settings. What each may do:
--
--   owner   everything, and alone: `db upgrade`, `db restore`, `db retain`, `db import` of a log that was retired.
--   writer  appends events (SELECT and INSERT on `event`, nothing else), and changes the tables that follow from
--           them and the leases. It cannot change, remove or lock an event, nor switch a guard off. This is the
--           role for the daemon and the command line.
--   reader  SELECT on everything: pages, reports, `status`, `events`.

\set ON_ERROR_STOP on
\if :{?owner} \else \set owner tw_owner \endif
\if :{?writer} \else \set writer tw_writer \endif
\if :{?reader} \else \set reader tw_reader \endif

BEGIN;

SELECT format('CREATE ROLE %I NOINHERIT', name)
FROM (VALUES (:'owner'), (:'writer'), (:'reader')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

SELECT current_schema() AS home, current_database() AS base \gset

-- The owner has the schema, the tables and the functions, so that nobody else can lift a guard.
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE :"base" TO :"owner";
GRANT CONNECT ON DATABASE :"base" TO :"writer", :"reader";
REVOKE CREATE ON SCHEMA :"home" FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA :"home" TO :"owner";
GRANT USAGE ON SCHEMA :"home" TO :"writer", :"reader";

SELECT format('ALTER TABLE %I.%I OWNER TO %I', :'home', tablename, :'owner')
FROM pg_tables
WHERE schemaname = :'home' AND tableowner <> :'owner' AND tablename IN (
  'event', 'plan', 'job', 'fit', 'decision', 'host', 'pause', 'lease', 'beat', 'cursor', 'projection', 'seal',
  'log_start', 'alembic_version') \gexec

SELECT format('ALTER FUNCTION %s OWNER TO %I', p.oid::regprocedure, :'owner')
FROM pg_proc AS p
WHERE p.pronamespace = :'home'::regnamespace AND pg_get_userbyid(p.proowner) <> :'owner'
  AND p.proname IN ('event_refuse', 'event_require_next', 'event_append', 'plan_count') \gexec

-- Events: read and append. The trigger functions run with the rights of whoever inserts; SELECT is all they need.
REVOKE ALL ON event FROM PUBLIC, :"writer", :"reader";
GRANT SELECT, INSERT ON event TO :"writer";

-- What follows from events, and what is only of this moment.
GRANT SELECT, INSERT, UPDATE, DELETE ON
  plan, job, fit, decision, host, pause, lease, beat, cursor, projection
TO :"writer";

-- Seals are added and never changed; where the log begins is the owner's word.
REVOKE ALL ON seal, log_start, alembic_version FROM PUBLIC, :"writer", :"reader";
GRANT SELECT, INSERT ON seal TO :"writer";
GRANT SELECT ON log_start, alembic_version TO :"writer";

GRANT SELECT ON
  event, plan, job, fit, decision, host, pause, lease, beat, cursor, projection, seal, log_start, alembic_version
TO :"reader";

COMMIT;
