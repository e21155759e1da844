ALTER TABLE "approvals" ADD COLUMN "kind" text DEFAULT 'approval' NOT NULL;--> statement-breakpoint
CREATE OR REPLACE FUNCTION "approvals_webhooks_added"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  waiting record;
BEGIN
  FOR waiting IN
    SELECT a.tenant, a.run_id, a.thread_id, a.assistant_id, max(a.asked_at) AS asked_at,
      json_agg(json_build_object('id', a.id, 'kind', a.kind, 'tool', a.tool, 'due_at', a.due_at, 'on_deadline', a.on_deadline)
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
CREATE OR REPLACE FUNCTION "approvals_webhooks_changed"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  call json := json_build_object('id', new.id, 'kind', new.kind, 'tool', new.tool, 'due_at', new.due_at, 'on_deadline', new.on_deadline);
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
$$;
