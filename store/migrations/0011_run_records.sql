CREATE TABLE "run_tools" (
	"run_id" text NOT NULL,
	"tool" text NOT NULL,
	"run_position" bigint NOT NULL,
	CONSTRAINT "run_tools_run_id_tool_pk" PRIMARY KEY("run_id","tool")
);
--> statement-breakpoint
ALTER TABLE "run_tools" ADD CONSTRAINT "run_tools_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."runs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "run_tools_page" ON "run_tools" USING btree ("tool","run_position");--> statement-breakpoint
CREATE INDEX "runs_page_of_assistant" ON "runs" USING btree ("assistant_id","position");--> statement-breakpoint
CREATE INDEX "runs_by_creation" ON "runs" USING btree ("created_at","tenant");--> statement-breakpoint
CREATE INDEX "runs_page_of_status" ON "runs" USING btree ("status","position") WHERE ended_at is not null;--> statement-breakpoint
CREATE INDEX "runs_page_of_tenant_status" ON "runs" USING btree ("tenant","status","position") WHERE ended_at is not null;--> statement-breakpoint
CREATE INDEX "runs_by_end" ON "runs" USING btree ("ended_at","status","tenant") WHERE ended_at is not null;
--> statement-breakpoint
CREATE FUNCTION "tools_called"(calls text) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
  SELECT DISTINCT m[1] FROM regexp_matches(calls, '"name":"([^"\\]{1,200})"', 'g') m
$$;--> statement-breakpoint
CREATE FUNCTION "rounds_tools"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO run_tools (run_id, tool, run_position)
    SELECT r.id, t.tool, r.position FROM runs r, tools_called(new.calls::text) t(tool) WHERE r.id = new.run_id
    ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$$;--> statement-breakpoint
CREATE TRIGGER "rounds_tools" AFTER INSERT ON "rounds" FOR EACH ROW EXECUTE FUNCTION "rounds_tools"();--> statement-breakpoint
INSERT INTO run_tools (run_id, tool, run_position)
  SELECT DISTINCT r.id, t.tool, r.position FROM rounds o JOIN runs r ON r.id = o.run_id, tools_called(o.calls::text) t(tool)
  ON CONFLICT DO NOTHING;
