import type { ComponentChildren } from 'preact';
import { AlertIcon } from './icons.tsx';

/** Read out at once. */
export const Alert = ({ children }: { children: ComponentChildren }) => (
    <div class="alert" role="alert">
        <AlertIcon />
        <div>{children}</div>
    </div>
);
