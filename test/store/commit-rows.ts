/** A program for the embedded dialect's durability test: commits rows in a loop and prints each id once it is acknowledged. */
import { openDatabase } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { insertEnvironment } from './rows.ts';

const database = await openDatabase({ kind: 'embedded', dataDir: process.argv[2]! });
await migrate(database.db);
for (;;) {
    process.stdout.write(`${await insertEnvironment(database.db)}\n`);
}
