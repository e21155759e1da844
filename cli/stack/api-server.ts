export const serveDurable = async (_context: unknown, _config: unknown): Promise<undefined> => {
  throw new Error('todo');
};
