CREATE TABLE "webhook_deliveries" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"position" bigint DEFAULT nextval('positions') NOT NULL,
	"created_at" bigint NOT NULL,
	"webhook_id" text NOT NULL,
	"event_id" text NOT NULL,
	"run_id" text,
	"sequence" integer NOT NULL,
	"type" text NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"dispatch" text DEFAULT 'new',
	"attempts" integer DEFAULT 0 NOT NULL,
	"log" json DEFAULT '[]'::json NOT NULL,
	"delivered_at" bigint
);
--> statement-breakpoint
CREATE TABLE "webhook_events" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"run_id" text,
	"sequence" integer NOT NULL,
	"type" text NOT NULL,
	"created_at" bigint NOT NULL,
	"data" json NOT NULL
);
--> statement-breakpoint
CREATE TABLE "webhook_sequences" (
	"run_id" text PRIMARY KEY NOT NULL,
	"sequence" integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE "webhooks" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"position" bigint DEFAULT nextval('positions') NOT NULL,
	"created_at" bigint NOT NULL,
	"url" text NOT NULL,
	"description" json,
	"events" text[],
	"secrets" json NOT NULL,
	"disabled_at" bigint,
	"disabled_reason" text
);
--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_webhook_id_webhooks_id_fk" FOREIGN KEY ("webhook_id") REFERENCES "public"."webhooks"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_event_id_webhook_events_id_fk" FOREIGN KEY ("event_id") REFERENCES "public"."webhook_events"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "webhook_deliveries_pending" ON "webhook_deliveries" USING btree ("webhook_id","run_id","sequence") WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX "webhook_deliveries_undispatched" ON "webhook_deliveries" USING btree ("position") WHERE dispatch is not null;--> statement-breakpoint
CREATE INDEX "webhook_deliveries_page_of_tenant" ON "webhook_deliveries" USING btree ("tenant","position");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_page" ON "webhook_deliveries" USING btree ("position");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_of_event" ON "webhook_deliveries" USING btree ("event_id");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_of_webhook" ON "webhook_deliveries" USING btree ("webhook_id","position");--> statement-breakpoint
CREATE UNIQUE INDEX "webhook_events_of_run" ON "webhook_events" USING btree ("run_id","sequence");--> statement-breakpoint
CREATE INDEX "webhook_events_by_age" ON "webhook_events" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "webhooks_of_tenant" ON "webhooks" USING btree ("tenant","position");--> statement-breakpoint
CREATE INDEX "webhooks_page" ON "webhooks" USING btree ("position");--> statement-breakpoint
CREATE FUNCTION "add_webhook_event"(of_tenant text, of_run text, of_type text, at_ms bigint, of_data json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  number integer;
  event text := 'evt_' || left(replace(gen_random_uuid()::text, '-', ''), 24);
  at_time bigint := coalesce(at_ms, (extract(epoch from clock_timestamp()) * 1000)::bigint);
BEGIN
  IF NOT EXISTS (SELECT 1 FROM webhooks w WHERE w.tenant = of_tenant AND w.disabled_at IS NULL) THEN
    RETURN;
  END IF;
  INSERT INTO webhook_sequences AS s (run_id, sequence) VALUES (of_run, 1)
    ON CONFLICT (run_id) DO UPDATE SET sequence = s.sequence + 1 RETURNING s.sequence INTO number;
  INSERT INTO webhook_events (id, tenant, run_id, sequence, type, created_at, data)
    VALUES (event, of_tenant, of_run, number, of_type, at_time, of_data);
  INSERT INTO webhook_deliveries (id, tenant, created_at, webhook_id, event_id, run_id, sequence, type)
    SELECT 'dlv_' || left(replace(gen_random_uuid()::text, '-', ''), 24), of_tenant, at_time, w.id, event, of_run, number, of_type
    FROM webhooks w
    WHERE w.tenant = of_tenant AND w.disabled_at IS NULL AND (w.events IS NULL OR of_type = ANY (w.events))
    FOR KEY SHARE;
  PERFORM pg_notify('run_events', 'webhooks 0');
END
$$;--> statement-breakpoint
CREATE FUNCTION "runs_webhooks"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM add_webhook_event(new.tenant, new.id, 'run.ended', new.ended_at, json_build_object(
    'thread_id', new.thread_id, 'assistant_id', new.assistant_id, 'status', new.status,
    'incomplete_reason', new.incomplete_reason));
  RETURN NULL;
END
$$;--> statement-breakpoint
CREATE TRIGGER "runs_webhooks" AFTER UPDATE ON "runs" FOR EACH ROW
  WHEN (old.ended_at IS NULL AND new.ended_at IS NOT NULL) EXECUTE FUNCTION "runs_webhooks"();--> statement-breakpoint
CREATE FUNCTION "approvals_webhooks_added"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  waiting record;
BEGIN
  FOR waiting IN
    SELECT a.tenant, a.run_id, a.thread_id, a.assistant_id, max(a.asked_at) AS asked_at,
      json_agg(json_build_object('id', a.id, 'tool', a.tool, 'due_at', a.due_at, 'on_deadline', a.on_deadline)
        ORDER BY a.position) AS calls
    FROM added a WHERE a.status = 'waiting'
    GROUP BY a.tenant, a.run_id, a.thread_id, a.assistant_id, a.round
  LOOP
    PERFORM add_webhook_event(waiting.tenant, waiting.run_id, 'run.waiting', waiting.asked_at, json_build_object(
      'thread_id', waiting.thread_id, 'assistant_id', waiting.assistant_id, 'approvals', waiting.calls));
  END LOOP;
  RETURN NULL;
END
$$;--> statement-breakpoint
CREATE TRIGGER "approvals_webhooks_added" AFTER INSERT ON "approvals" REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION "approvals_webhooks_added"();--> statement-breakpoint
CREATE FUNCTION "approvals_webhooks_changed"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  call json := json_build_object('id', new.id, 'tool', new.tool, 'due_at', new.due_at, 'on_deadline', new.on_deadline);
BEGIN
  IF new.status = 'waiting' THEN
    PERFORM add_webhook_event(new.tenant, new.run_id, 'run.waiting', NULL, json_build_object(
      'thread_id', new.thread_id, 'assistant_id', new.assistant_id, 'approvals', json_build_array(call)));
  ELSE
    PERFORM add_webhook_event(new.tenant, new.run_id, 'approval.' || new.status,
      CASE new.status WHEN 'decided' THEN new.decided_at END, json_build_object(
      'thread_id', new.thread_id, 'assistant_id', new.assistant_id, 'approval', call, 'decided_at', new.decided_at));
  END IF;
  RETURN NULL;
END
$$;--> statement-breakpoint
CREATE TRIGGER "approvals_webhooks_changed" AFTER UPDATE ON "approvals" FOR EACH ROW
  WHEN (old.status IS DISTINCT FROM new.status) EXECUTE FUNCTION "approvals_webhooks_changed"();
