ALTER TABLE "assistants" ADD COLUMN "bytes" integer;--> statement-breakpoint
ALTER TABLE "messages" ADD COLUMN "bytes" integer;--> statement-breakpoint
ALTER TABLE "rounds" ADD COLUMN "bytes" integer;--> statement-breakpoint
ALTER TABLE "run_events" ADD COLUMN "bytes" integer;--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "bytes" integer;--> statement-breakpoint
ALTER TABLE "steps" ADD COLUMN "bytes" integer;--> statement-breakpoint
CREATE INDEX "messages_of_tenant" ON "messages" USING btree ("tenant","bytes");--> statement-breakpoint
CREATE INDEX "runs_of_tenant" ON "runs" USING btree ("tenant","bytes");--> statement-breakpoint
CREATE INDEX "runs_live_of_tenant" ON "runs" USING btree ("tenant") WHERE status in ('queued', 'in_progress', 'requires_action', 'cancelling');--> statement-breakpoint
CREATE INDEX "steps_of_tenant" ON "steps" USING btree ("tenant","bytes");--> statement-breakpoint
CREATE INDEX "threads_of_tenant" ON "threads" USING btree ("tenant");--> statement-breakpoint
CREATE FUNCTION "assistants_bytes"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  new.bytes := octet_length(new.body::text);
  RETURN new;
END
$$;--> statement-breakpoint
CREATE TRIGGER "assistants_bytes" BEFORE INSERT OR UPDATE OF "body" ON "assistants" FOR EACH ROW EXECUTE FUNCTION "assistants_bytes"();--> statement-breakpoint
CREATE FUNCTION "messages_bytes"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  new.bytes := octet_length(new.content::text);
  RETURN new;
END
$$;--> statement-breakpoint
CREATE TRIGGER "messages_bytes" BEFORE INSERT OR UPDATE OF "content" ON "messages" FOR EACH ROW EXECUTE FUNCTION "messages_bytes"();--> statement-breakpoint
CREATE FUNCTION "runs_bytes"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  new.bytes := octet_length(new.config::text);
  RETURN new;
END
$$;--> statement-breakpoint
CREATE TRIGGER "runs_bytes" BEFORE INSERT OR UPDATE OF "config" ON "runs" FOR EACH ROW EXECUTE FUNCTION "runs_bytes"();--> statement-breakpoint
CREATE FUNCTION "rounds_bytes"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  new.bytes := octet_length(new.calls::text) + octet_length(new.outputs::text);
  RETURN new;
END
$$;--> statement-breakpoint
CREATE TRIGGER "rounds_bytes" BEFORE INSERT OR UPDATE OF "calls", "outputs" ON "rounds" FOR EACH ROW EXECUTE FUNCTION "rounds_bytes"();--> statement-breakpoint
CREATE FUNCTION "steps_bytes"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  new.bytes := octet_length(new.details::text);
  RETURN new;
END
$$;--> statement-breakpoint
CREATE TRIGGER "steps_bytes" BEFORE INSERT OR UPDATE OF "details" ON "steps" FOR EACH ROW EXECUTE FUNCTION "steps_bytes"();--> statement-breakpoint
CREATE FUNCTION "run_events_bytes"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  new.bytes := octet_length(new.data::text);
  RETURN new;
END
$$;--> statement-breakpoint
CREATE TRIGGER "run_events_bytes" BEFORE INSERT OR UPDATE OF "data" ON "run_events" FOR EACH ROW EXECUTE FUNCTION "run_events_bytes"();
