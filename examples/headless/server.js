import { serve } from '../backend.js';

await serve(new URL('page.html', import.meta.url), process.env.PORT ?? 4002);
