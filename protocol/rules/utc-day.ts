/** The day that usage and budgets count by. Pure; any room may import it. */
export const utcDay = (now: number): string => new Date(now).toISOString().slice(0, 10);
