/* token.h: `sampan token create|list|delete|generate`: the tokens by which machines join; output as
 * kubeadm's. */
#ifndef SAMPAN_SERVER_TOKEN_H
#define SAMPAN_SERVER_TOKEN_H

int token_main(int argc, char **argv);

#endif
