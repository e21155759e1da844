CREATE INDEX IF NOT EXISTS "threads_page" ON "threads" USING btree ("tenant","position");--> statement-breakpoint
DROP INDEX IF EXISTS "threads_of_tenant";
