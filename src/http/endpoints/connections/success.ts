/** What endpoints answer that have nothing to show. */
import { z } from 'zod';

export const Success = z.object({ success: z.literal(true) });
